"use strict";
// Replays schedules with the reduced model, as `ReducedModel.along` does. It needs model.js.

// Numbers of the tables of all steps that are kept in memory. With more, the table of a step is
// computed whenever it is needed.
const KEPT_NUMBERS = 24e6;

class Replay {
  // places: the readouts to read, as places in model.readouts; all of them by default.
  constructor(model, places = model.readouts.map((_, i) => i)) {
    this.model = model;
    this.places = places;
    const chosen = this.chosenColumns(), f = chosen.length, { patterns, count } = model;
    // With parameters that weight decay exempts, a second half of y follows their displacements.
    const second = model.exempts ? chosen.map((column) => column + model.columns / 2) : [];
    this.columns = [...chosen, ...second];
    this.f = f;
    this.y = new Float64Array(this.columns.length);
    this.mu = new Float64Array(model.writers);
    this.alpha = new Float64Array(patterns);
    this.nu = new Float64Array(f);
    this.mean = new Float64Array(f);
    this.parts = [this.y, this.mu, this.alpha, this.nu, this.mean];
    this.size = this.parts.reduce((sum, part) => sum + part.length, 0);
    this.states = new Float64Array((count + 1) * this.size);  // of the kept schedule
    this.kept = null;
    this.losses = null;
    this.knotTables = this.gathered();
    this.isSmall = count * this.knotTables[0].steps.length <= KEPT_NUMBERS;
    this.tables = [];
  }

  // Columns of the readers, of the goals at the chosen readouts, and of the averaged goals.
  chosenColumns() {
    const { r, goals, readouts, averagedStates } = this.model, averaged = averagedStates ? goals : [];
    const columns = Array.from({ length: r }, (_, i) => i);
    for (const place of this.places) {
      for (let goal = 0; goal < goals.length; goal += 1) columns.push(r + place * goals.length + goal);
    }
    averaged.forEach((_, goal) => columns.push(r + readouts.length * goals.length + goal));
    return columns;
  }

  // The tables at the knots: for each row j of the momentum, the chosen columns of each pattern.
  gathered() {
    const { writers, rows, columns, knots, arrays } = this.model, f = this.columns.length;
    return knots.map((_, k) => {
      const steps = new Float64Array(writers * rows * f), drifts = new Float64Array(rows * f);
      this.columns.forEach((column, i) => {
        for (let p = 0; p < rows; p += 1) {
          const start = ((k * columns + column) * rows + p) * writers;
          for (let j = 0; j < writers; j += 1) {
            steps[(j * rows + p) * f + i] = arrays.steps.values[start + j];
          }
          drifts[p * f + i] = arrays.drifts.values[(k * rows + p) * columns + column];
        }
      });
      return { steps, drifts };
    });
  }

  // The tables at step t, interpolated between knots.
  table(t) {
    if (this.tables[t]) return this.tables[t];
    const [low, high, weight] = bracket(this.model.knots, t);
    if (low === high) return this.knotTables[low];
    if (!this.spare) this.spare = emptyCopy(this.knotTables[0]);
    const table = this.isSmall ? emptyCopy(this.spare) : this.spare;
    for (const name of ["steps", "drifts"]) {
      interpolate(table[name], this.knotTables[low][name], this.knotTables[high][name], weight);
    }
    if (this.isSmall) this.tables[t] = table;
    return table;
  }

  // The losses (places, goals) of a list of units, and after them the averaged losses. Only the
  // steps from the first one that differs from the kept schedule on are computed. keep: the
  // schedule becomes the kept one.
  run(visits, keep = true) {
    const { count, readouts } = this.model, width = visits.length / count;
    const first = keep || this.kept ? this.firstDifference(visits, width) : 0;
    if (first === count) return this.losses;
    this.restore(first);
    const losses = this.losses && first > 0 ? this.losses.map((row) => row) : [];
    for (let t = first; t < count; t += 1) {
      this.advance(visits, t, width);
      if (keep) this.store(t + 1);
      this.places.forEach((place, i) => {
        if (readouts[place] === t + 1) losses[i] = this.read(this.y, i, place);
      });
    }
    if (this.model.averagedStates) losses[this.places.length] = this.readAveraged();
    if (keep) {
      this.kept = visits.slice();
      this.losses = losses;
    }
    return losses;
  }

  firstDifference(visits, width) {
    if (!this.kept) return 0;
    const place = visits.findIndex((unit, i) => unit !== this.kept[i]);
    return place < 0 ? this.model.count : Math.floor(place / width);
  }

  restore(t) {
    let start = t * this.size;
    for (const part of this.parts) {
      if (t === 0) part.fill(0);
      else part.set(this.states.subarray(start, start + part.length));
      start += part.length;
    }
  }

  store(t) {
    let start = t * this.size;
    for (const part of this.parts) {
      this.states.set(part, start);
      start += part.length;
    }
  }

  // One update: the force of the units, then the step of the optimizer.
  advance(visits, t, width) {
    const { model, f, y, mu, alpha, nu, mean } = this, { writers, patterns } = model;
    const units = visits.slice(t * width, (t + 1) * width);
    const plain = this.force(units, t), force = model.clipping ? clipped(model, t, plain) : plain;
    const [b1, b2] = model.beta;
    for (let j = 0; j < writers; j += 1) mu[j] += (1 - b1) * (force[j] - mu[j]);
    for (let p = 0; p < patterns; p += 1) {
      const sum = units.reduce((total, unit) => total + model.responses[unit][p], 0);
      alpha[p] = b2 * alpha[p] + sum / width;
    }
    const { steps, drifts } = this.table(t), pushed = drifts.slice();
    addRows(pushed, 1, mu, writers, steps, 0);
    const scale = model.rates[t] / model.corrections[t], decay = model.decay[t];
    const isAveraged = t >= model.count - model.averagedStates, all = y.length;
    for (let i = 0; i < all; i += 1) {
      const exempt = i >= f ? y[i] : model.exempts ? y[f + i] : 0;  // the part without decay
      let push = pushed[i];
      if (i < f) {
        nu[i] = b1 * nu[i] + model.coupled * (y[i] - exempt);
        push += nu[i];
      }
      for (let p = 0; p < patterns; p += 1) push += alpha[p] * pushed[(p + 1) * all + i];
      y[i] = exempt + (y[i] - exempt) * decay - scale * push;
      if (i < f && isAveraged) mean[i] += y[i] / model.averagedStates;
    }
  }

  // The mean gradient of the units in the basis: at the path, and by their curvature.
  force(units, t) {
    const { model, y } = this, { q, r, clusters, directions, labels } = model;
    const { coefficients, clusterCores, unitCores, unitReaders } = model.arrays;
    const force = new Float64Array(q), shares = new Float64Array(clusters);
    const read = new Float64Array(directions), share = 1 / units.length;
    for (let n = 0; n < directions; n += 1) {
      for (let i = 0; i < r; i += 1) read[n] += unitReaders.values[n * r + i] * y[i];
    }
    const [low, high, weight] = bracket(model.knots, t);
    const add = (scale, factors, count, array, row) => {
      if (scale) addRows(force, scale, factors, count, array.values, row * q);
    };
    for (const unit of units) {
      shares[labels[unit]] += share;
      add(share * (1 - weight), [1], 1, coefficients, low * model.units + unit);
      add(share * weight, [1], 1, coefficients, high * model.units + unit);
      add(share, read, directions, unitCores, unit * directions);
    }
    const [before, after, late] = bracket(model.probedSteps, t);
    shares.forEach((part, c) => {
      add(part * (1 - late), y, r, clusterCores, (before * clusters + c) * r);
      add(part * late, y, r, clusterCores, (after * clusters + c) * r);
    });
    return force;
  }

  // The losses of the goals at a readout, the i-th of the chosen ones.
  read(y, i, place) {
    const { model } = this, goals = model.goals.length, second = quadratic(model.meanCores[place], y, model.r);
    return model.goals.map((_, goal) => (
      model.losses[place][goal] + y[model.r + i * goals + goal] + second
    ));
  }

  // The losses of the goals at the mean of the last states.
  readAveraged() {
    const { model, mean } = this, goals = model.goals.length, end = model.losses.length - 1;
    const second = quadratic(model.averagedCore, mean, model.r);
    const start = model.r + this.places.length * goals;
    return model.goals.map((_, goal) => model.losses[end][goals + goal] + mean[start + goal] + second);
  }
}

function emptyCopy({ steps, drifts }) {
  return { steps: new Float64Array(steps.length), drifts: new Float64Array(drifts.length) };
}

function interpolate(result, first, second, weight) {
  for (let i = 0; i < result.length; i += 1) result[i] = first[i] + weight * (second[i] - first[i]);
}

// sums += scale * sum_j factors[j] * rows[j], for rows of the length of sums that begin at `start`.
// Four rows at once, because reading and writing the sums takes most of the time.
function addRows(sums, scale, factors, count, values, start) {
  const size = sums.length;
  let j = 0;
  for (; j + 4 <= count; j += 4) {
    const a = scale * factors[j], b = scale * factors[j + 1];
    const c = scale * factors[j + 2], d = scale * factors[j + 3];
    const first = start + j * size, second = first + size, third = second + size, fourth = third + size;
    for (let i = 0; i < size; i += 1) {
      sums[i] += a * values[first + i] + b * values[second + i]
        + c * values[third + i] + d * values[fourth + i];
    }
  }
  for (; j < count; j += 1) {
    const factor = scale * factors[j], first = start + j * size;
    for (let i = 0; i < size; i += 1) sums[i] += factor * values[first + i];
  }
}

// y' core y / 2 of the first r numbers.
function quadratic(core, y, r) {
  let sum = 0;
  for (let i = 0; i < r; i += 1) {
    let row = 0;
    for (let j = 0; j < r; j += 1) row += core[i * r + j] * y[j];
    sum += y[i] * row;
  }
  return sum / 2;
}

// Clips the gradient with coordinates `force` (q) beside the mean gradient. Appends the coordinates
// of what remains of the mean gradient, as `Clipping.clipped` does.
function clipped(model, t, force) {
  const { largest, meanScales, weights } = model.clipping;
  const whole = Float64Array.from([...force, ...weights[t]]);
  const square = 2 * quadratic(model.arrays.clipGram.values, whole, whole.length);
  const size = Math.min(1, largest / (Math.sqrt(Math.max(0, square)) + 1e-6));
  const rest = size - meanScales[t];
  return whole.map((value, i) => value * (i < force.length ? size : rest));
}

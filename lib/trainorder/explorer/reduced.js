"use strict";
// Replays one schedule with the reduced model in double precision, as `ReducedModel.predict` does.

function decodeArray(entry) {
  const bytes = Uint8Array.from(atob(entry.base64), (letter) => letter.charCodeAt(0));
  const values = entry.dtype === "float32"
    ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
  return { shape: entry.shape, values };
}

function decodeModel(record) {
  const model = { goals: record.goals, averaged_states: record.averaged_states || 0 };
  for (const [name, entry] of Object.entries(record.arrays)) model[name] = decodeArray(entry);
  return model;
}

// Places of the anchors about step t, and the weight of the second.
function bracket(anchors, t) {
  let high = 0;
  while (high < anchors.length && anchors[high] < t) high += 1;
  if (high === anchors.length) return [high - 1, high - 1, 0];
  if (high === 0 || anchors[high] === t) return [high, high, 0];
  const low = high - 1;
  return [low, high, (t - anchors[low]) / (anchors[high] - anchors[low])];
}

// A reader of array.values[place, ...] interpolated between the anchors about step t.
function between(array, anchors, t) {
  const size = array.shape.slice(1).reduce((a, b) => a * b, 1);
  const [low, high, weight] = bracket(anchors, t);
  const first = low * size, second = high * size, values = array.values;
  if (low === high) return (i) => values[first + i];
  return (i) => values[first + i] + weight * (values[second + i] - values[first + i]);
}

// The losses of the goals after the displacements in y, whose first orders begin at a column.
function moved(model, losses, y, column, core) {
  const r = model.cores.shape[2];
  let second = 0;
  for (let i = 0; i < r; i += 1) {
    for (let j = 0; j < r; j += 1) second += y[i] * core.values[i * r + j] * y[j];
  }
  return losses.map((loss, goal) => loss + y[column + goal] + second / 2);
}

// Clips the gradient with coordinates `force` (q) beside the mean gradient. Appends the coordinates
// of what remains of the mean gradient, as `Clipping.clipped` does.
function clipped(model, t, force) {
  const count = model.clip_weights.shape[1], n = force.length + count;
  const whole = new Float64Array(n);
  whole.set(force);
  whole.set(model.clip_weights.values.subarray(t * count, (t + 1) * count), force.length);
  let square = 0;
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < n; j += 1) square += whole[i] * model.clip_gram.values[i * n + j] * whole[j];
  }
  const norm = Math.sqrt(Math.max(0, square));
  const scale = Math.min(1, model.clip_largest.values[0] / (norm + 1e-6));
  const rest = scale - model.clip_mean_scales.values[t];
  return whole.map((value, i) => value * (i < force.length ? scale : rest));
}

// schedule: a list of T lists of units. Returns the loss of each goal at the end, and then, if the
// study averages weights, at the mean of the last states.
function predictLosses(model, schedule) {
  const [steps, , q] = model.coefficients.shape;
  const [, units, r] = model.cores.shape;
  const goals = model.goals.length, losses = [...model.losses.values], f = r + losses.length;
  const patterns = model.responses.shape[1], rows = 1 + patterns;
  // With parameters that weight decay exempts, a second half of y follows their displacements.
  const all = model.drifts.shape[2], exempts = all > f;
  const writers = model.steps.shape[1];  // q, and with clipping further ones
  const [b1, b2] = model.beta.values, [coupled] = model.coupled.values;
  const y = new Float64Array(all), mu = new Float64Array(writers), alpha = new Float64Array(patterns);
  const nu = new Float64Array(f), mean = new Float64Array(f), averaged = model.averaged_states;
  for (let t = 0; t < steps; t += 1) {
    let force = new Float64Array(q);
    const share = 1 / schedule[t].length;
    const core = between(model.cores, model.probed_steps.values, t);
    for (let p = 0; p < patterns; p += 1) alpha[p] *= b2;
    for (const unit of schedule[t]) {
      const base = (t * units + unit) * q;
      for (let j = 0; j < q; j += 1) force[j] += share * model.coefficients.values[base + j];
      for (let i = 0; i < r; i += 1) {
        const moved = share * y[i], row = (unit * r + i) * q;
        for (let j = 0; j < q; j += 1) force[j] += moved * core(row + j);
      }
      for (let p = 0; p < patterns; p += 1) {
        alpha[p] += share * model.responses.values[unit * patterns + p];
      }
    }
    if (model.clip_gram) force = clipped(model, t, force);
    for (let j = 0; j < writers; j += 1) mu[j] += (1 - b1) * (force[j] - mu[j]);
    const matrix = between(model.steps, model.knots.values, t);
    const drift = between(model.drifts, model.knots.values, t);
    const width = rows * all, pushed = new Float64Array(width);
    for (let i = 0; i < width; i += 1) pushed[i] = drift(i);
    for (let j = 0; j < writers; j += 1) {
      for (let i = 0; i < width; i += 1) pushed[i] += mu[j] * matrix(j * width + i);
    }
    const scale = model.rates.values[t] / model.corrections.values[t];
    const kept = model.decay.values[t];
    for (let i = 0; i < all; i += 1) {
      const exempt = i >= f ? y[i] : exempts ? y[f + i] : 0;  // the part without decay
      let push = pushed[i];
      if (i < f) {
        nu[i] = b1 * nu[i] + coupled * (y[i] - exempt);
        push += nu[i];
      }
      for (let p = 0; p < patterns; p += 1) push += alpha[p] * pushed[(p + 1) * all + i];
      y[i] = exempt + (y[i] - exempt) * kept - scale * push;
      if (i < f && t >= steps - averaged) mean[i] += y[i] / averaged;
    }
  }
  const ends = moved(model, losses.slice(0, goals), y, r, model.mean_core);
  if (!averaged) return ends;
  return [...ends, ...moved(model, losses.slice(goals), mean, r + goals, model.averaged_core)];
}

if (typeof module !== "undefined") module.exports = { decodeModel, predictLosses };

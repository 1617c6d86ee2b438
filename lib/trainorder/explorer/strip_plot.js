"use strict";
// Strip plots: for one metric, every retrained random order as a dot, other retrained orders as lines,
// and the estimate of the current order with its interval among them. The most important lines have a
// label; every dot and line has a tooltip. It needs labels.js and svg.js.

const DOT_ROWS = 5, LABEL_ROWS = 3, LABEL_HEIGHT = 14, LANE = 24, AXIS_HEIGHT = 22, DOT_SPACE = 7, SIDE = 14;

class StripPlot {
  // data: see stripData. labelsAll: whether every line has a label where there is room for it.
  constructor(element, data, labelsAll) {
    Object.assign(this, { element, data, labelsAll, extra: [], current: null, name: "", width: 0 });
  }

  // Draws everything for a width in pixels.
  draw(width) {
    this.width = width;
    const { random, named, range } = this.data, lines = [...named, ...this.extra];
    const values = [...random, ...lines].map(({ value }) => value);
    if (range) values.push(...range);
    this.ownBounds = withMargin(values);  // without the current order
    this.bounds = withMargin([...values, ...this.ends()]);
    this.x = scale(...this.bounds, SIDE, width - SIDE);
    this.lane = LABEL_ROWS * LABEL_HEIGHT + LANE / 2;
    this.top = LABEL_ROWS * LABEL_HEIGHT + LANE;
    this.base = this.top + DOT_ROWS * DOT_SPACE + 6;
    const height = this.base + AXIS_HEIGHT;
    const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": this.description() });
    if (range) {
      const [start, end] = range.map(this.x);
      root.append(svg("rect", { class: "range", x: start, y: this.top - 4, width: end - start, height: this.base - this.top + 4 }));
    }
    this.drawDots(root);
    this.drawLines(root, lines);
    this.drawAxis(root);
    this.pointer = svg("g", { class: "current" });
    root.append(this.pointer);
    this.element.replaceChildren(root);
    this.drawCurrent();
  }

  // The true losses in words.
  description() {
    const { metric, random, named } = this.data, listed = byValue(named).map(({ name, value }) => `${name} ${shownLoss(value)}`);
    const [first, last] = [0, random.length - 1].map((i) => byValue(random)[i]);
    const dots = first ? [`${random.length} random orders from ${shownLoss(first.value)} to ${shownLoss(last.value)}`] : [];
    return `True ${metric} of retrained orders: ${[...listed, ...dots].join(", ")}.`;
  }

  drawAxis(root) {
    const y = this.base;
    root.append(svg("line", { class: "axis", x1: SIDE, x2: this.width - SIDE, y1: y, y2: y }));
    const { values, digits } = ticks(...this.bounds, Math.max(2, Math.floor(this.width / 90)));
    for (const value of values) {
      root.append(svg("line", { class: "axis", x1: this.x(value), x2: this.x(value), y1: y, y2: y + 4 }));
      root.append(svg("text", { class: "tick", x: this.x(value), y: y + 15, "text-anchor": "middle" }, value.toFixed(digits)));
    }
  }

  // Dots are stacked in rows, so that few of them cover each other.
  drawDots(root) {
    const last = Array(DOT_ROWS).fill(-Infinity);
    for (const { name, value } of byValue(this.data.random)) {
      const x = this.x(value);
      let row = last.findIndex((end) => x - end >= DOT_SPACE);
      if (row < 0) row = last.indexOf(Math.min(...last));
      last[row] = x;
      const isShown = name === this.name;
      const dot = svg("circle", { class: isShown ? "dot shown" : "dot", cx: x, cy: this.base - 6 - row * DOT_SPACE, r: 3 });
      dot.append(tooltip(name, value));
      root.append(dot);
    }
  }

  // The marks that get a label, the most important first.
  labelled(lines) {
    const { named, random, reference, best } = this.data, sorted = byValue(named);
    const shown = random.find(({ name }) => name === this.name);
    const first = [this.name, reference, best].map((wanted) => named.find(({ name }) => name === wanted));
    const marks = [...this.extra, shown, ...first, sorted[0], sorted[sorted.length - 1], ...(this.labelsAll ? byValue(lines) : [])];
    return [...new Set(marks.filter(Boolean))];
  }

  drawLines(root, lines) {
    const marks = this.labelled(lines).map((mark) => (
      { ...mark, x: this.x(mark.value), size: labelWidth(mark.name) }
    ));
    const labels = placedLabels(marks, this.width, LABEL_ROWS);
    const baseline = ({ row }) => (LABEL_ROWS - row) * LABEL_HEIGHT - 3;
    const ends = new Map(labels.map((label) => [label.name, baseline(label) + 3]));
    for (const { name, value, kind } of [...lines, ...labels.filter(({ kind }) => kind === "dotMark")]) {
      const x = this.x(value), place = { x1: x, x2: x, y1: ends.get(name) || this.top, y2: this.base };
      const hover = svg("line", { class: "hover", ...place, y1: this.top });
      hover.append(tooltip(name, value));
      root.append(svg("line", { class: this.classOf(name, kind), "data-name": name, ...place }), hover);
    }
    for (const label of labels) {
      const text = svg("text", { class: this.classOf(label.name, label.kind), x: label.start, y: baseline(label) }, label.name);
      text.append(tooltip(label.name, label.value));
      root.append(text);
    }
  }

  classOf(name, kind) { return `mark ${kind}${name === this.name ? " shown" : ""}`; }

  // estimate: { value, low, high } of the current order; name: of its dot or line, if it has one.
  show(estimate, name) {
    const isRenamed = name !== this.name;
    this.current = estimate;
    this.name = name;
    if (!this.width) return;
    const isOutside = ([low, high]) => this.ends().some((value) => value < low || value > high);
    const isStretched = this.bounds.some((bound, i) => bound !== this.ownBounds[i]);
    if (isRenamed || isOutside(this.bounds) || (isStretched && !isOutside(this.ownBounds))) this.draw(this.width);
    else this.drawCurrent();
  }

  // The ends of the interval of the current order.
  ends() {
    if (!this.current) return [];
    const { value, low, high } = this.current;
    return low === null ? [value] : [low, high];
  }

  drawCurrent() {
    if (!this.current) return;
    const { value, low, high } = this.current, x = this.x(value), y = this.lane;
    const parts = [svg("line", { x1: x, x2: x, y1: y, y2: this.base })];
    if (low !== null) {
      parts.push(svg("line", { class: "interval", x1: this.x(low), x2: this.x(high), y1: y, y2: y }));
      for (const end of [low, high]) {
        parts.push(svg("line", { class: "interval", x1: this.x(end), x2: this.x(end), y1: y - 5, y2: y + 5 }));
      }
    }
    parts.push(svg("path", { d: `M${x},${y - 7}l7,7l-7,7l-7,-7z` }));
    this.pointer.replaceChildren(...parts);
  }

  // Further labelled lines, for orders that are kept: [{ name, value, kind }].
  showExtra(marks) {
    this.extra = marks;
    if (this.width) this.draw(this.width);
  }
}

// The width of a bold label in pixels, as style.css draws it.
const PEN = document.createElement("canvas").getContext("2d");
function labelWidth(name) {
  PEN.font = "700 11px system-ui, sans-serif";
  return PEN.measureText(name).width;
}

function tooltip(name, value) {
  return svg("title", {}, `${name}: ${shownLoss(value)}`);
}

function byValue(marks) {
  return [...marks].sort((a, b) => a.value - b.value);
}

function withMargin(values) {
  const low = Math.min(...values), high = Math.max(...values), margin = 0.04 * (high - low || 1);
  return [low - margin, high + margin];
}

// What the strip plot of a metric shows: the truth of all retrained orders.
function stripData(record, metric) {
  const { truth, random, recalibration, range, reference } = record, isRandom = new Set(random);
  const mark = (name, kind) => ({ name, value: truth[name][metric], kind });
  const { intercept, slope } = recalibration[metric];
  return {
    metric: record.names[metric],
    random: random.map((name) => mark(name, "dotMark")),
    named: Object.keys(truth).filter((name) => !isRandom.has(name))
      .map((name) => mark(name, name === reference ? "referenceMark" : "")),
    range: range[metric] && range[metric].map((raw) => intercept + slope * raw),
    reference,
    best: bestSearched(record),
  };
}

// The searched order that was the best when it was retrained; undefined if there is none.
function bestSearched({ truth, groups, objective }) {
  const value = (name) => weighted(objective.weights, truth[name]);
  return Object.keys(truth).filter((name) => groups[name] === "searched").sort((a, b) => value(a) - value(b))[0];
}

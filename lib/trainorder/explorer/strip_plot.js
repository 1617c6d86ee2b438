"use strict";
// Strip plots: for one metric, every retrained random order as a dot, named orders as labelled
// marks, and the estimate of the current order with its interval among them. It needs svg.js.

const DOT_ROWS = 5, LABEL_HEIGHT = 13, AXIS_HEIGHT = 18, DOT_SPACE = 7, SIDE = 14;

class StripPlot {
  // data: see stripData; range are the ends of the calibrated range, or null.
  constructor(element, data) {
    this.element = element;
    this.data = data;
    this.extra = [];
    this.current = null;
    this.width = 0;
  }

  // Draws everything for a width in pixels.
  draw(width) {
    this.width = width;
    const { random, named, range } = this.data;
    const values = [...random, ...named, ...this.extra].map(({ value }) => value);
    if (range) values.push(...range);
    this.ownBounds = withMargin(values);  // without the current order
    this.bounds = withMargin([...values, ...this.ends()]);
    this.x = scale(...this.bounds, SIDE, width - SIDE);
    const top = 22, dots = top + DOT_ROWS * DOT_SPACE + 6, marks = this.labelRows([...named, ...this.extra]);
    const rows = 1 + Math.max(-1, ...marks.map(({ row }) => row));
    this.height = dots + AXIS_HEIGHT + 6 + rows * LABEL_HEIGHT + 4;
    const root = svg("svg", { width, height: this.height, viewBox: `0 0 ${width} ${this.height}`, "aria-hidden": "true" });
    if (range) {
      const [start, end] = range.map(this.x);
      root.append(svg("rect", { class: "range", x: start, y: top - 4, width: end - start, height: dots - top + 4 }));
    }
    this.drawDots(root, top, dots);
    this.drawMarks(root, marks, top, dots + AXIS_HEIGHT + 4);
    this.drawAxis(root, dots);
    this.pointer = svg("g", { class: "current" });
    root.append(this.pointer);
    this.base = dots;
    this.element.replaceChildren(root);
    this.drawCurrent();
  }

  drawAxis(root, y) {
    root.append(svg("line", { class: "axis", x1: SIDE, x2: this.width - SIDE, y1: y, y2: y }));
    const { values, digits } = ticks(...this.bounds, Math.max(2, Math.floor(this.width / 90)));
    for (const value of values) {
      root.append(svg("line", { class: "axis", x1: this.x(value), x2: this.x(value), y1: y, y2: y + 4 }));
      root.append(svg("text", { class: "tick", x: this.x(value), y: y + 15, "text-anchor": "middle" }, value.toFixed(digits)));
    }
  }

  // Dots are stacked in rows, so that few of them cover each other.
  drawDots(root, top, base) {
    this.dots = new Map();
    const last = Array(DOT_ROWS).fill(-Infinity);
    const sorted = [...this.data.random].sort((a, b) => a.value - b.value);
    for (const { name, value } of sorted) {
      const x = this.x(value);
      let row = last.findIndex((end) => x - end >= DOT_SPACE);
      if (row < 0) row = last.indexOf(Math.min(...last));
      last[row] = x;
      const dot = svg("circle", { class: "dot", cx: x, cy: base - 6 - row * DOT_SPACE, r: 3 });
      dot.append(svg("title", {}, `${name}: ${shownLoss(value)}, retrained`));
      this.dots.set(name, dot);
      root.append(dot);
    }
  }

  // The row of each label, so that none covers another, and where its text begins.
  labelRows(marks) {
    const ends = [];
    return [...marks].sort((a, b) => a.value - b.value).map((mark) => {
      const size = 6.2 * mark.name.length + 8, x = this.x(mark.value);
      const start = Math.max(2, Math.min(x - 3, this.width - size));
      let row = ends.findIndex((end) => end <= start);
      if (row < 0) row = ends.length;
      ends[row] = start + size;
      return { ...mark, x, start, row };
    });
  }

  // All lines are below all texts, so that no line crosses a name.
  drawMarks(root, marks, top, labels) {
    const placed = marks.map((mark) => ({ ...mark, y: labels + 10 + mark.row * LABEL_HEIGHT }));
    for (const { x, y, kind } of placed) {
      root.append(svg("line", { class: `mark ${kind}`, x1: x, x2: x, y1: top, y2: y - 9 }));
    }
    for (const { name, value, start, y, kind } of placed) {
      const text = svg("text", { class: `mark ${kind}`, x: start, y }, name);
      text.append(svg("title", {}, `${name}: ${shownLoss(value)}`));
      root.append(text);
    }
  }

  // estimate: { value, low, high } of the current order; name: of its dot or mark, if it has one.
  show(estimate, name) {
    this.current = estimate;
    this.name = name;
    if (!this.width) return;
    const isOutside = ([low, high]) => this.ends().some((value) => value < low || value > high);
    const isStretched = this.bounds.some((bound, i) => bound !== this.ownBounds[i]);
    if (isOutside(this.bounds) || (isStretched && !isOutside(this.ownBounds))) this.draw(this.width);
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
    for (const [name, dot] of this.dots) dot.classList.toggle("shown", name === this.name);
    const { value, low, high } = this.current, x = this.x(value), y = 11;
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

  // Further labelled marks, for orders that are compared: [{ name, value, kind }].
  showExtra(marks) {
    this.extra = marks;
    if (this.width) this.draw(this.width);
  }
}

function withMargin(values) {
  const low = Math.min(...values), high = Math.max(...values), margin = 0.04 * (high - low || 1);
  return [low - margin, high + margin];
}

// What the strip plot of a metric shows: the truth of all retrained orders.
function stripData(record, metric) {
  const { truth, random, recalibration, range } = record, isRandom = new Set(random);
  const mark = (name) => (
    { name, value: truth[name][metric], kind: name === record.reference ? "referenceMark" : "" }
  );
  const { intercept, slope } = recalibration[metric];
  return {
    random: random.map(mark),
    named: Object.keys(truth).filter((name) => !isRandom.has(name)).map(mark),
    range: range[metric] && range[metric].map((raw) => intercept + slope * raw),
  };
}

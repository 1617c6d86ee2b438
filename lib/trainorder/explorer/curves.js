"use strict";
// The estimated loss along the window, one panel for each metric, with the reference order behind.
// It needs svg.js.

const CURVE = { height: 120, left: 44, right: 8, top: 6, bottom: 20 };

class Curve {
  // steps: numbers of updates at the readouts; reference: the losses of the reference order there.
  constructor(element, steps, reference) {
    Object.assign(this, { element, steps, reference, values: reference, width: 0 });
  }

  draw(width) {
    this.width = width;
    const all = [...this.reference, ...this.values];
    this.bounds = [Math.min(...all), Math.max(...all)];
    const margin = 0.08 * (this.bounds[1] - this.bounds[0] || 0.01);
    const { height, left, right, top, bottom } = CURVE;
    this.x = scale(this.steps[0], this.steps[this.steps.length - 1], left, width - right);
    this.y = scale(this.bounds[0] - margin, this.bounds[1] + margin, height - bottom, top);
    const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const { values, digits } = ticks(this.bounds[0] - margin, this.bounds[1] + margin, 4);
    for (const value of values) {
      const y = this.y(value);
      root.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: y, y2: y }));
      root.append(svg("text", { class: "tick", x: left - 4, y: y + 4, "text-anchor": "end" }, value.toFixed(digits)));
    }
    const count = Math.max(2, Math.floor((width - left) / 34)), every = Math.ceil(this.steps.length / count);
    this.steps.forEach((step, i) => {
      if ((this.steps.length - 1 - i) % every) return;
      root.append(svg("text", { class: "tick", x: this.x(step), y: height - 5, "text-anchor": "middle" }, step));
    });
    root.append(svg("polyline", { class: "reference", points: this.points(this.reference) }));
    this.line = svg("polyline", { class: "own" });
    this.ends = this.steps.map((step) => svg("circle", { class: "own", cx: this.x(step), r: 2.5 }));
    root.append(this.line, ...this.ends);
    this.element.replaceChildren(root);
    this.drawOwn();
  }

  points(values) {
    return values.map((value, i) => `${this.x(this.steps[i])},${this.y(value)}`).join(" ");
  }

  drawOwn() {
    this.line.setAttribute("points", this.points(this.values));
    this.values.forEach((value, i) => this.ends[i].setAttribute("cy", this.y(value)));
  }

  show(values) {
    this.values = values;
    if (!this.width) return;
    const isInside = values.every((value) => this.bounds[0] <= value && value <= this.bounds[1]);
    if (isInside) this.drawOwn();
    else this.draw(this.width);
  }
}

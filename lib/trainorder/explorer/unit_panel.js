"use strict";
// What one unit contributes at each step: its row of the maps of positions, as bars. It needs svg.js.

const BARS = { height: 104, left: 58, right: 8, top: 8, bottom: 26 };
const LOSSES = { own: "loss on the unit itself", same: "held-out loss of its domain", other: "held-out loss of the other domains" };
const SHOWN_DIGITS = 5;

class UnitPanel {
  // maps: by quantity and map a packed array (U, T); null if the study has none. homes: by unit its
  // step in the reference order. width: units in each step.
  constructor(elements, maps, domains, homes, width) {
    Object.assign(this, { ...elements, domains, homes, perStep: width, size: 0, unit: null, step: null, way: "insertion" });
    this.maps = maps && Object.fromEntries(Object.entries(maps).map(([quantity, ways]) => [
      quantity, Object.fromEntries(Object.entries(ways).map(([way, entry]) => [way, unpacked(entry)])),
    ]));
    this.visits = [];
    this.markers = [];
    this.isElsewhere = false;
  }

  row(quantity, unit) {
    const { shape, values } = this.maps[quantity][this.way];
    return [...values.subarray(unit * shape[1], (unit + 1) * shape[1])];
  }

  // Shows a unit at one of its places.
  show(unit, place) {
    const isNew = unit !== this.unit;
    this.unit = unit;
    this.place = place;
    this.step = Math.floor(place / this.perStep);
    if (isNew) this.draw();
    else this.mark();
  }

  // Shows the same unit at its place in another order. isReference: whether the bars hold for it.
  follow(visits, isReference) {
    this.visits = visits;
    this.bars.classList.toggle("elsewhere", !isReference);
    this.isElsewhere = !isReference;
    if (this.unit !== null && this.maps) this.reference.textContent = this.validity();
    if (this.unit === null || visits[this.place] === this.unit) return;
    this.place = visits.indexOf(this.unit);
    this.step = this.place < 0 ? null : Math.floor(this.place / this.perStep);
    this.mark();
  }

  // way: the map that is shown.
  showWay(way) {
    this.way = way;
    this.draw();
  }

  resize() {
    const { clientWidth } = this.bars, columns = clientWidth > 560 ? 3 : 1;
    const size = Math.floor(clientWidth / columns) - 14;
    if (size === this.size) return;
    this.size = size;
    this.draw();
  }

  draw() {
    if (this.unit === null || !this.maps || this.size <= 0) return;
    const quantities = Object.keys(LOSSES), isMixed = this.domains.ofUnit[this.unit] === MIXED;
    const shown = isMixed ? quantities.filter((name) => name !== "other") : quantities;
    this.reference.textContent = this.validity();
    this.markers = [];
    this.bars.replaceChildren(...shown.map((quantity) => this.figure(quantity, this.row(quantity, this.unit))));
    this.mark();
  }

  // For which order the bars hold.
  validity() {
    const first = `for the reference order with this one unit moved; there it is at step ${this.homes.get(this.unit)}.`;
    return this.isElsewhere ? `${first} Another order is shown, so they are grey: they do not say what a move changes in it.` : first;
  }

  figure(quantity, row) {
    const isAll = quantity === "same" && this.domains.ofUnit[this.unit] === MIXED;
    const what = isAll ? "held-out loss of all domains" : LOSSES[quantity], caption = html("figcaption");
    const { root, x, rects } = this.plot(row, this.size);
    const triangle = svg("path", { class: "here" });
    root.append(triangle);
    this.markers.push({ what, row, caption, rects, triangle, x });
    const figure = html("figure", { class: "bars" }, root, caption);
    figure.style.width = `${this.size}px`;
    return figure;
  }

  // Marks the present step in each plot, and states its value.
  mark() {
    const { step } = this, domain = this.domains.ofUnit[this.unit], y = BARS.height - BARS.bottom + 2;
    const now = step === null ? "not in this order" : `now at step ${step}`;
    this.heading.textContent = `Unit ${this.unit} (${domain}), ${now}`;
    for (const { what, row, caption, rects, triangle, x } of this.markers) {
      const lowest = row.indexOf(Math.min(...row));
      const here = step === null ? "" : ` ${shownChange(row[step], SHOWN_DIGITS)} at step ${step};`;
      caption.textContent = `${what}, in nats per token:${here} lowest ${shownChange(row[lowest], SHOWN_DIGITS)} at step ${lowest}`;
      rects.forEach((rect, t) => rect.classList.toggle("here", t === step));
      triangle.setAttribute("d", step === null ? "" : `M${x(step)},${y}l5,8l-10,0z`);
    }
  }

  plot(row, width) {
    const { height, left, right, top, bottom } = BARS, low = Math.min(0, ...row), high = Math.max(0, ...row);
    const y = scale(low, high, height - bottom, top), size = (width - left - right) / row.length;
    const x = (t) => left + (t + 0.5) * size;
    const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const rects = row.map((value, t) => svg("rect", {
      class: "bar", x: left + t * size + 0.5, width: Math.max(0.5, size - 1),
      y: Math.min(y(0), y(value)), height: Math.max(0.5, Math.abs(y(value) - y(0))),
    }));
    root.append(...this.valueAxis(y, [low, 0, high], width), ...rects);
    root.append(svg("line", { class: "axis", x1: left, x2: width - right, y1: y(0), y2: y(0) }));
    for (const t of [0, row.length - 1]) {
      root.append(svg("text", { class: "tick", x: x(t), y: height - 4, "text-anchor": "middle" }, t));
    }
    root.append(svg("text", { class: "tick", x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "step"));
    return { root, x, rects };
  }

  // Ticks at the lowest value, at zero and at the highest value.
  valueAxis(y, values, width) {
    const { left, right } = BARS, isApart = (value) => value === 0 || Math.abs(y(value) - y(0)) > 12;
    return [...new Set(values)].filter(isApart).flatMap((value) => [
      svg("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
      svg("text", { class: "tick value", x: left - 4, y: y(value) + 4, "text-anchor": "end" }, value === 0 ? "0" : shownChange(value, SHOWN_DIGITS)),
    ]);
  }
}

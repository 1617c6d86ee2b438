"use strict";
// What one unit contributes at each step: its row of the maps of positions, as bars. It needs svg.js.

const BARS = { height: 74, left: 8, right: 8, top: 8, bottom: 8 };
const LOSSES = { own: "loss on the unit itself", same: "held-out loss of its domain", other: "held-out loss of the other domains" };

class UnitPanel {
  // maps: by quantity and map a packed array (U, T); null if the study has none.
  constructor(element, heading, maps, domains) {
    Object.assign(this, { element, heading, domains, width: 0, unit: null, step: null, way: "insertion" });
    this.maps = maps && Object.fromEntries(Object.entries(maps).map(([quantity, ways]) => [
      quantity, Object.fromEntries(Object.entries(ways).map(([way, entry]) => [way, unpacked(entry)])),
    ]));
  }

  row(quantity, unit) {
    const { shape, values } = this.maps[quantity][this.way];
    return [...values.subarray(unit * shape[1], (unit + 1) * shape[1])];
  }

  show(unit, step) {
    this.unit = unit;
    this.step = step;
    this.draw();
  }

  // way: the map that is shown.
  showWay(way) {
    this.way = way;
    this.draw();
  }

  resize() {
    const { clientWidth } = this.element, columns = clientWidth > 560 ? 3 : 1;
    this.width = Math.floor(clientWidth / columns) - 14;
    this.draw();
  }

  draw() {
    const { width } = this;
    if (this.unit === null || !this.maps || width <= 0) return;
    const domain = this.domains.ofUnit[this.unit], quantities = Object.keys(LOSSES);
    const shown = domain === MIXED ? quantities.filter((name) => name !== "other") : quantities;
    this.heading.textContent = `Unit ${this.unit} (${domain}), now at step ${this.step}`;
    const rows = shown.map((quantity) => this.row(quantity, this.unit));
    this.element.replaceChildren(...shown.map((quantity, i) => (
      html("figure", { class: "bars" }, this.bars(rows[i], width), this.caption(quantity, rows[i]))
    )));
  }

  caption(quantity, row) {
    const isAll = quantity === "same" && this.domains.ofUnit[this.unit] === MIXED;
    const lowest = row.indexOf(Math.min(...row)), what = isAll ? "held-out loss of all domains" : LOSSES[quantity];
    return html("figcaption", {}, `${what}: ${shownChange(row[this.step], 5)} at step ${this.step}; lowest ${shownChange(row[lowest], 5)} at step ${lowest}`);
  }

  bars(row, width) {
    const { height, left, right, top, bottom } = BARS, low = Math.min(0, ...row), high = Math.max(0, ...row);
    const y = scale(low, high, height - bottom, top), size = (width - left - right) / row.length;
    const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    row.forEach((value, t) => {
      root.append(svg("rect", {
        class: t === this.step ? "bar here" : "bar", x: left + t * size + 0.5, width: Math.max(0.5, size - 1),
        y: Math.min(y(0), y(value)), height: Math.max(0.5, Math.abs(y(value) - y(0))),
      }));
    });
    root.append(svg("line", { class: "axis", x1: left, x2: width - right, y1: y(0), y2: y(0) }));
    return root;
  }
}

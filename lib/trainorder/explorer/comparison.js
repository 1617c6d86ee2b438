"use strict";
// Several orders side by side: their blocks in small, and a table of their estimates. It
// needs svg.js.

class Comparison {
  // handlers: show(entry), changed(entries) and removed(entry); reference: value by metric.
  constructor(element, domains, reference, handlers) {
    Object.assign(this, { element, domains, reference, handlers, entries: [] });
  }

  // entry: { visits, name, estimates }.
  keep(entry) {
    const letter = this.entries.length ? nextLetter(this.entries[this.entries.length - 1].letter) : "A";
    this.entries.push({ ...entry, letter });
    this.draw();
    this.handlers.changed(this.entries);
    return letter;
  }

  remove(entry) {
    this.entries = this.entries.filter((other) => other !== entry);
    this.draw();
    this.handlers.changed(this.entries);
    this.handlers.removed(entry);
  }

  title(entry) {
    return entry.name ? `${entry.letter}: ${entry.name}` : `${entry.letter}: own order`;
  }

  draw() {
    this.element.hidden = !this.entries.length;
    const list = html("div", { class: "kept" }, ...this.entries.map((entry) => this.strip(entry)));
    this.element.querySelector(".content").replaceChildren(list, this.entries.length ? this.table() : "");
  }

  strip(entry) {
    const root = html("div", { class: "mini", "aria-hidden": "true" });
    for (const unit of entry.visits) {
      const mark = html("span");
      this.domains.paint(mark, this.domains.ofUnit[unit]);
      root.append(mark);
    }
    const title = this.title(entry);
    const button = (text, what) => html("button", { type: "button", onclick: what, "aria-label": `${text} ${title}` }, text);
    return html("div", { class: "keptOrder" }, html("b", {}, title), root,
      button("Show", () => this.handlers.show(entry)), button("Remove", () => this.remove(entry)));
  }

  table() {
    const head = html("tr", {}, html("th", { scope: "col" }, "metric"), ...this.entries.map((entry) => (
      html("th", { scope: "col" }, this.title(entry))
    )));
    const rows = Object.keys(this.entries[0].estimates).map((metric) => {
      const lowest = Math.min(...this.entries.map((entry) => entry.estimates[metric].value));
      return html("tr", {}, html("th", { scope: "row" }, metric), ...this.entries.map((entry) => {
        const { value, low, high } = entry.estimates[metric];
        const text = `${shownLoss(value)} (${shownChange(value - this.reference[metric])})`;
        const half = low === null ? "" : ` ${shownLoss(low)} to ${shownLoss(high)}`;
        return html("td", { class: value === lowest && this.entries.length > 1 ? "lowest" : "", title: half }, text);
      }));
    });
    return html("div", { class: "scroll" }, html("table", {}, html("thead", {}, head), html("tbody", {}, ...rows)));
  }
}

function nextLetter(letter) {
  return letter === "Z" ? "A" : String.fromCharCode(letter.charCodeAt(0) + 1);
}

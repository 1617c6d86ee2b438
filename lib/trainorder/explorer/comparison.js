"use strict";
// Several orders side by side: their blocks in small, and a table of their estimates. It
// needs svg.js.

class Comparison {
  // handlers: show(entry), changed(entries) and removed(entry); names and reference: the name and the
  // reference order's estimate of each metric.
  constructor(element, domains, { names, referenceEstimates: reference }, handlers) {
    Object.assign(this, { element, domains, names, reference, handlers, entries: [], owned: 0 });
  }

  // entry: { visits, name, estimates }. An order without a name gets a number.
  keep(entry) {
    const letter = this.entries.length ? nextLetter(this.entries[this.entries.length - 1].letter) : "A";
    if (!entry.name) this.owned += 1;
    this.entries.push({ ...entry, letter, name: entry.name || `own order ${this.owned}` });
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

  title({ letter, name }) { return `${letter}: ${name}`; }

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
      return html("tr", {}, html("th", { scope: "row" }, this.names[metric]), ...this.entries.map((entry) => {
        const { value, low, high } = entry.estimates[metric];
        const text = `${shownLoss(value)} (${shownChange(value - this.reference[metric])})`;
        const half = low === null ? "" : ` ${shownLoss(low)} to ${shownLoss(high)}`;
        return html("td", { class: value === lowest && this.entries.length > 1 ? "lowest" : "", title: half }, text);
      }));
    });
    const scroll = { class: "scroll", tabIndex: 0, role: "group", "aria-label": "table of kept orders" };
    return html("div", scroll, html("table", {}, html("thead", {}, head), html("tbody", {}, ...rows)));
  }
}

function nextLetter(letter) {
  return letter === "Z" ? "A" : String.fromCharCode(letter.charCodeAt(0) + 1);
}

"use strict";
// The domains with their colours and letters. If some are pressed, only their units are shown. It needs
// domains.js and svg.js.

class Legend {
  // app: the explorer.
  constructor(app) {
    this.app = app;
    this.shown = new Set();
    app.byId("legend").append(...app.domains.names.map((name) => html("li", {}, this.chip(name))));
  }

  chip(name) {
    const { domains } = this.app;
    const mark = html("span", { class: "block", "aria-hidden": "true" });
    domains.paint(mark, name);
    const count = domains.ofUnit.filter((other) => other === name).length;
    const button = html("button", { type: "button", class: "chip", "aria-pressed": "false" }, mark, ` ${name} (${count})`);
    button.onclick = () => this.toggle(name, button);
    return button;
  }

  toggle(name, button) {
    if (!this.shown.delete(name)) this.shown.add(name);
    button.setAttribute("aria-pressed", String(this.shown.has(name)));
    this.app.blocks.filter(this.shown);
    const text = `Showing only ${[...this.shown].join(", ")}; the other units are narrow.`;
    this.app.say(this.shown.size ? text : "Showing all domains.");
  }
}

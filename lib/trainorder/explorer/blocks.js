"use strict";
// The units as blocks that a pointer or the keyboard moves. It needs domains.js, search.js, svg.js.
//
// Keyboard: arrows move the focus, Home and End go to the ends. Space picks a unit up; then arrows
// move it, Space puts it down, and Escape returns it.

class Blocks {
  // handlers: preview(visits) while a unit moves, commit(visits, place), cancel(), focus(unit, place)
  // and say(text).
  constructor(element, domains, width, handlers) {
    this.element = element;
    this.domains = domains;
    this.width = width;
    this.handlers = handlers;
    this.visits = [];   // as shown
    this.base = null;   // before the unit that is moved was picked up
    this.from = null;
    this.to = null;
    this.shown = new Set();  // domains that are not filtered; all if it is empty
    this.buttons = [];
    element.addEventListener("keydown", (event) => this.onKey(event));
    element.addEventListener("pointerdown", (event) => this.onPointerDown(event));
    element.addEventListener("pointerover", (event) => this.onFocus(event));
    element.addEventListener("focusin", (event) => this.onFocus(event));
    document.addEventListener("pointermove", (event) => this.onPointerMove(event));
    document.addEventListener("pointerup", () => this.drop());
    document.addEventListener("pointercancel", () => this.cancel());
  }

  label(place) {
    const unit = this.visits[place];
    return `unit ${unit}, ${this.domains.ofUnit[unit]}, step ${Math.floor(place / this.width)}`;
  }

  // Shows a list of units; only blocks that change are touched.
  show(visits) {
    if (this.buttons.length !== visits.length) this.build(visits.length);
    const old = this.visits;
    this.visits = visits;
    visits.forEach((unit, place) => { if (old[place] !== unit) this.paint(place); });
  }

  build(count) {
    this.buttons = Array.from({ length: count }, (_, place) => html("button", {
      type: "button", class: "block", "data-place": String(place), tabIndex: place === 0 ? 0 : -1,
    }));
    const columns = asSchedule(this.buttons, this.width).map((buttons, t) => (
      html("div", { class: "step" }, ...buttons, html("span", { "aria-hidden": "true" }, String(t)))
    ));
    this.element.replaceChildren(...columns);
    this.visits = [];
  }

  paint(place) {
    const button = this.buttons[place], domain = this.domains.ofUnit[this.visits[place]];
    this.domains.paint(button, domain);
    button.append(html("span", { class: "unit" }, String(this.visits[place])));
    button.title = this.label(place);
    button.setAttribute("aria-label", button.title);
    button.classList.toggle("filtered", this.isFiltered(place));
  }

  isFiltered(place) {
    return this.shown.size > 0 && !this.shown.has(this.domains.ofUnit[this.visits[place]]);
  }

  // Shows only the units of some domains in full; all of them if the set is empty.
  filter(shown) {
    this.shown = shown;
    this.visits.forEach((_, place) => this.paint(place));
  }

  focus(place) {
    this.buttons.forEach((button, i) => { button.tabIndex = i === place ? 0 : -1; });
    this.buttons[place].focus();
  }

  get isMoving() { return this.base !== null; }

  pick(place) {
    this.base = this.visits;
    this.from = place;
    this.to = place;
    this.mark();
  }

  moveTo(place) {
    if (place === this.to) return;
    this.to = place;
    this.handlers.preview(inserted(this.base, this.from, place));
    this.mark();
  }

  mark() {
    this.buttons.forEach((button, place) => {
      const isHeld = this.isMoving && place === this.to;
      button.classList.toggle("held", isHeld);
      if (isHeld) button.setAttribute("aria-pressed", "true");
      else button.removeAttribute("aria-pressed");
    });
  }

  drop() {
    if (!this.isMoving) return;
    const { base, from, to } = this;
    this.base = null;
    this.mark();
    if (to !== from) this.handlers.commit(inserted(base, from, to), to);
    this.focus(to);
  }

  cancel() {
    if (!this.isMoving) return;
    const { base, from } = this;
    this.base = null;
    this.mark();
    this.handlers.cancel(base);
    this.focus(from);
  }

  placeUnder(event) {
    const element = document.elementFromPoint(event.clientX, event.clientY);
    const button = element && element.closest && element.closest("button.block");
    return button && this.element.contains(button) ? Number(button.dataset.place) : null;
  }

  onPointerDown(event) {
    const button = event.target.closest("button.block");
    if (!button || event.button > 0) return;
    if (this.isMoving) this.drop();
    // Otherwise a touch sends all later events to this button.
    if (button.hasPointerCapture(event.pointerId)) button.releasePointerCapture(event.pointerId);
    this.pick(Number(button.dataset.place));
  }

  onPointerMove(event) {
    if (!this.isMoving || !event.buttons) return;
    const place = this.placeUnder(event);
    if (place !== null) this.moveTo(place);
  }

  onFocus(event) {
    const button = event.target.closest("button.block");
    if (!button || this.isMoving) return;
    const place = Number(button.dataset.place);
    this.handlers.focus(this.visits[place], place);
  }

  // The place that a key goes to from another one; null for other keys. The units of a step are
  // below each other.
  target(key, place) {
    const last = this.buttons.length - 1, side = this.width, down = side > 1 ? 1 : this.rowLength();
    const to = {
      ArrowLeft: place - side, ArrowRight: place + side, ArrowUp: place - down, ArrowDown: place + down,
      Home: 0, End: last,
    }[key];
    if (to === undefined) return null;
    return to < 0 || to > last ? place : to;
  }

  // Places in a line of blocks on the screen, with one unit in each step.
  rowLength() {
    const top = this.buttons[0].offsetTop;
    const count = this.buttons.findIndex((button) => button.offsetTop !== top);
    return count < 0 ? this.buttons.length : count;
  }

  onKey(event) {
    const button = event.target.closest("button.block");
    if (!button || event.ctrlKey || event.metaKey || event.altKey) return;
    const place = Number(button.dataset.place), to = this.target(event.key, place);
    const isSpace = event.key === " " || event.key === "Enter";
    if (to === null && !isSpace && event.key !== "Escape") return;
    event.preventDefault();
    if (event.key === "Escape") {
      this.cancel();
    } else if (isSpace && this.isMoving) {
      this.drop();
    } else if (isSpace) {
      this.pick(place);
      this.handlers.say(`Picked up ${this.label(place)}. Arrow keys move it, Space puts it down, Escape returns it.`);
    } else if (this.isMoving) {
      this.moveTo(to);
      this.focus(to);
    } else {
      this.focus(to);
    }
  }
}

"use strict";
// The controls of the current order: menu, undo, sorting, loading, saving and links. It needs
// order_text.js and svg.js.

const GROUP_LABELS = { random: "random, held-back", calibration: "random, calibration" };

class OrderTools {
  // app: the explorer.
  constructor(app) {
    this.app = app;
    this.buildMenu();
    const on = (id, action) => { app.byId(id).onclick = action; };
    on("undo", () => app.step("undo"));
    on("redo", () => app.step("redo"));
    on("keep", () => this.keep());
    on("save", () => download(orderFile(app.history.current, app.width), "order.json"));
    on("link", () => this.copyLink());
    on("sortDomain", () => this.sort("their domain", (unit) => app.domains.ofUnit[unit]));
    on("sortLoss", () => this.sort("their own loss", (unit) => app.model.unitLosses[unit]));
    on("load", () => this.load(app.byId("pasted").value));
    app.byId("file").onchange = async (event) => {
      const [file] = event.target.files;
      if (file) this.load(await file.text());
    };
    window.addEventListener("hashchange", () => {
      const linked = this.linkedOrder();
      if (linked) app.commit(linked, "Showing the order of the link.");
    });
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  buildMenu() {
    const { app } = this, choice = app.byId("order"), { orders, groups, truth, descriptions } = app.record;
    choice.append(html("option", { value: "" }, "(your own)"));
    for (const group of new Set(Object.values(groups))) {
      const names = Object.keys(orders).filter((name) => groups[name] === group);
      choice.append(html("optgroup", { label: GROUP_LABELS[group] || group }, ...names.map((name) => (
        html("option", { value: name, title: descriptions[name] || "" }, truth[name] ? name : `${name} (not retrained)`)
      ))));
    }
    choice.onchange = () => {
      const name = choice.value;
      const what = descriptions[name] ? `: ${descriptions[name]}` : "";
      if (name) app.commit({ visits: orders[name], name }, `Order ${name}${what}.`);
    };
  }

  onKey(event) {
    const isText = /^(INPUT|TEXTAREA)$/.test(event.target.tagName), key = event.key.toLowerCase();
    if (isText || !(event.ctrlKey || event.metaKey) || !["z", "y"].includes(key)) return;
    event.preventDefault();
    this.app.step(key === "y" || event.shiftKey ? "redo" : "undo");
  }

  keep() {
    const { app } = this;
    const letter = app.comparison.keep({ ...app.history.current, estimates: app.state.estimates });
    app.say(`This order is kept as ${letter} in the comparison below the estimates.`);
  }

  // Sorts the units of the shown domains among their places; once more: the other way around.
  sort(what, key) {
    const { app } = this, { visits } = app.history.current;
    const places = visits.map((_, place) => place).filter((place) => !app.blocks.isFiltered(place));
    const compare = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
    const units = places.map((place) => visits[place]), result = visits.slice();
    const isSorted = units.every((unit, i) => i === 0 || compare(units[i - 1], unit) <= 0);
    const sorted = [...units].sort(isSorted ? (a, b) => compare(b, a) : compare);
    places.forEach((place, i) => { result[place] = sorted[i]; });
    app.commit({ visits: result, name: app.nameOf(result) }, `Units sorted by ${what}, ${isSorted ? "descending" : "ascending"}.`);
  }

  // Shows the first order of a text, and keeps the others for comparison.
  load(text) {
    const { app } = this, error = app.byId("loadError");
    error.textContent = "";
    try {
      const [first, ...others] = readOrders(text, app.referenceVisits);
      const entryOf = ({ name, visits }) => ({ visits, name: app.nameOf(visits) || name });
      for (const order of others) app.comparison.keep({ ...entryOf(order), estimates: app.estimates(order.visits).estimates });
      const more = others.length ? ` ${others.length} more are kept for comparison.` : "";
      app.commit(entryOf(first), `Loaded ${first.name}.${more}`);
    } catch (problem) {
      error.textContent = problem.message;
    }
  }

  // The order of the page's address; null if there is none.
  linkedOrder() {
    const { app } = this, visits = visitsOfLink(window.location.hash);
    if (!visits) return null;
    const problem = problemOf(visits, app.referenceVisits, true);
    if (problem) app.say(`The order of the link is not used: ${problem}`);
    return problem ? null : { visits, name: app.nameOf(visits) };
  }

  copyLink() {
    const { app } = this, field = app.byId("address");
    field.value = `${window.location.href.split("#")[0]}#${linkOf(app.history.current.visits)}`;
    field.hidden = false;
    field.select();
    const copied = navigator.clipboard ? navigator.clipboard.writeText(field.value) : Promise.reject(new Error("no clipboard"));
    copied.then(() => app.say("The link to this order is copied.")).catch(() => app.say("Copy the link from the field."));
  }
}

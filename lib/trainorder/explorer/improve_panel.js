"use strict";
// The controls of the search: what to lower, start and stop, and the gain of the best order. It
// needs improve.js, estimates.js and constraints.js.

class ImprovePanel {
  // app: the explorer.
  constructor(app) {
    this.app = app;
    this.goals = this.possibleGoals();
    app.byId("goal").append(...this.goals.map(({ name }, i) => html("option", { value: String(i) }, name)));
    this.improver = new Improver({
      progress: (result, seconds) => {
        app.render({ visits: result.visits, name: "" });
        app.tell(this.progressText(result, seconds));
      },
      ended: (result) => this.ended(result),
      failed: () => {
        this.mark(false);
        app.say("This browser cannot search in a page that is opened as a file; try another browser.");
      },
    });
    app.byId("improve").onclick = () => (this.improver.isRunning ? this.improver.stop() : this.start());
  }

  // The objective of the study, and each metric.
  possibleGoals() {
    const { objective, recalibration, names, spread } = this.app.record, end = this.app.model.readouts.length - 1;
    const terms = Object.entries(objective.weights);
    const named = terms.map(([metric, weight]) => (weight === 1 ? names[metric] : `${weight} × ${names[metric]}`)).join(" + ");
    const metrics = Object.keys(recalibration).filter((metric) => names[metric] !== named);
    return [
      { name: named, ...objective },
      ...metrics.map((metric) => ({ name: names[metric], weights: { [metric]: 1 }, places: [end], spread: spread[metric] })),
    ];
  }

  start() {
    const { app } = this, { rules } = app.record;
    const [start, note] = this.allowedStart();
    if (!start) {
      app.say(note);
      return;
    }
    this.goal = this.goals[Number(app.byId("goal").value)];
    this.before = this.valueOf(start);
    this.mark(true);
    app.say(`Searching for an order with a lower ${this.goal.name}. ${note}`);
    this.improver.start({
      model: app.model, weights: this.goal.weights, places: this.goal.places, rules, width: app.width, start, seed: 1,
    });
  }

  // The units that the search starts from, and a note if they are not the current order.
  allowedStart() {
    const { app } = this, { rules, orders } = app.record, { visits } = app.history.current;
    const broken = violations(rules, visits, app.width);
    if (!broken) return [visits, ""];
    const first = `This order breaks the constraints of the study in ${broken} places`;
    const name = Object.keys(orders).find((other) => !violations(rules, orders[other], app.width));
    if (!name) return [null, `${first}, and so do all orders in the menu. Change it first.`];
    return [orders[name], `${first}, so the search starts from ${name}.`];
  }

  ended(result) {
    const { app } = this;
    this.mark(false);
    if (!result) {
      app.show(app.history.current);
      app.say("The search was stopped before it tried an order.");
      return;
    }
    app.state.found = result;
    const text = `${result.scored} orders tried, the last ${result.unchanged} without a better one. ${this.gainText(result.visits)}`;
    app.commit({ visits: result.visits, name: app.nameOf(result.visits) }, text);
  }

  mark(isRunning) {
    this.app.byId("improve").textContent = isRunning ? "Stop" : "Improve";
  }

  progressText({ visits, scored, unchanged, waited }, seconds) {
    const rate = Math.round(scored / Math.max(seconds, 0.001));
    return `Searching: ${scored} orders tried, ${rate} per second. ${this.gainText(visits)} The last ${unchanged} orders, `
      + `in ${waited.toFixed(0)} s, brought nothing better; the search stops when ${UNCHANGED} orders in a row or ${LONGEST_WAIT / 1000} s bring nothing.`;
  }

  // The estimate of what is lowered.
  valueOf(visits) {
    const { estimates } = this.app.estimates(visits);
    const values = Object.entries(estimates).map(([metric, { value }]) => [metric, value]);
    return weighted(this.goal.weights, Object.fromEntries(values));
  }

  // The gain of a found order over the start of the search, in nats per token and in spreads.
  gainText(visits) {
    const { name, spread } = this.goal, gain = this.before - this.valueOf(visits);
    const inSpreads = spread ? ` (${(gain / spread.std).toFixed(1)} spreads)` : "";
    return `The best has an estimated ${name} ${shownLoss(Math.abs(gain))}${inSpreads} ${gain < 0 ? "above" : "below"} that of the start.`;
  }
}

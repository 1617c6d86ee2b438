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
        app.byId("progress").textContent = this.text(result, seconds);
      },
      ended: (result, seconds) => this.ended(result, seconds),
      failed: () => {
        this.mark(false);
        app.say("This browser cannot search in a page that is opened as a file; try another browser.");
      },
    });
    app.byId("improve").onclick = () => (this.improver.isRunning ? this.improver.stop() : this.start());
  }

  // The objective of the study, and each metric.
  possibleGoals() {
    const { objective, recalibration } = this.app.record, end = this.app.model.readouts.length - 1;
    const terms = Object.entries(objective.weights);
    const named = terms.map(([name, weight]) => (weight === 1 ? name : `${weight} ${name}`)).join(" + ");
    const metrics = Object.keys(recalibration).filter((metric) => metric !== named);
    return [
      { name: named, ...objective },
      ...metrics.map((metric) => ({ name: metric, weights: { [metric]: 1 }, places: [end] })),
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
    this.before = app.estimates(start).estimates;
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

  ended(result, seconds) {
    const { app } = this;
    this.mark(false);
    if (!result) {
      app.show(app.history.current);
      return;
    }
    const text = this.text(result, seconds);
    app.state.found = result;
    app.commit({ visits: result.visits, name: app.nameOf(result.visits) }, text);
    app.byId("progress").textContent = text;
  }

  mark(isRunning) {
    this.app.byId("improve").textContent = isRunning ? "Stop" : "Improve";
  }

  text(result, seconds) {
    const rate = Math.round(result.scored / Math.max(seconds, 0.001));
    return `${result.scored} orders tried, ${rate} per second. ${this.gain(result.visits)}`;
  }

  // The gain of a found order against the start of the search, in nats and spreads.
  gain(visits) {
    const { app, before } = this, { weights, name } = this.goal, { estimates, beyond } = app.estimates(visits);
    const value = (of) => Object.keys(weights).reduce((sum, metric) => sum + weights[metric] * of[metric].value, 0);
    const { mean, spread } = randomOrders(app.record, weights), after = value(estimates), gain = value(before) - after;
    const inSpreads = (change) => `${(change / spread).toFixed(1)} spreads`;
    const beside = spread ? ` (gain ${inSpreads(gain)}), ${inSpreads(mean - after)} below the mean random order` : "";
    const warning = beyond.length ? " It lies beyond the calibrated range: retrain it before you use it." : "";
    return `Best ${name}: ${shownLoss(after)}, ${shownChange(-gain)} from the start${beside}.${warning}`;
  }
}

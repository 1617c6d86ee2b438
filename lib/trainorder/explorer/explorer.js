"use strict";
// The page: connects the order with the blocks, the plots, the tables and the search.

class Explorer {
  constructor(record) {
    this.record = record;
    this.model = decodeModel(record.model);
    this.replay = new Replay(this.model);
    this.width = record.unitsPerStep;
    this.domains = new Domains(record.unitDomains, record.domains);
    this.referenceVisits = record.orders[record.reference];
    this.referenceLosses = this.replay.run(this.referenceVisits);
    this.history = new OrderHistory({ visits: this.referenceVisits, name: record.reference });
    // Tests and other scripts read this; see `render`.
    this.state = {};
    window.explorer = this.state;
    this.blocks = this.builtBlocks();
    new Legend(this);
    this.strips = this.builtStrips();
    this.curves = this.builtCurves();
    this.unitPanel = this.builtUnitPanel();
    this.note = new OrderNote(this.byId("note"), record);
    this.comparison = this.builtComparison();
    this.tools = new OrderTools(this);
    this.improvePanel = new ImprovePanel(this);
    const linked = this.tools.linkedOrder();
    if (linked) this.history = new OrderHistory(linked);
    this.show(this.history.current);
    if (!this.byId("status").textContent) this.say(this.summary());
    this.unitPanel.show(this.history.current.visits[0], 0);
    new ResizeObserver(() => this.resize()).observe(this.byId("plots"));
    this.resize();
  }

  byId(id) { return document.getElementById(id); }

  // Shows a line below the blocks, which screen readers read.
  say(text) {
    this.byId("status").setAttribute("aria-live", "polite");
    this.byId("status").textContent = text;
  }

  // Shows a line that changes often, so screen readers do not read it.
  tell(text) {
    this.byId("status").setAttribute("aria-live", "off");
    this.byId("status").textContent = text;
  }

  estimates(visits) { return estimatesOf(this.record, this.replay, visits); }

  builtBlocks() {
    let next = null;  // the order of the next frame: one replay for all moves within it
    return new Blocks(this.byId("strip"), this.domains, this.width, {
      preview: (visits) => {
        const isWaiting = next !== null;
        next = visits;
        this.blocks.show(visits);
        if (isWaiting) return;
        requestAnimationFrame(() => {
          if (this.blocks.isMoving) {
            this.render({ visits: next, name: "" });
            this.tell(`While you move the unit: ${this.summary()}`);
          }
          next = null;
        });
      },
      commit: (visits, place) => {
        const text = `Unit ${visits[place]} moved to step ${Math.floor(place / this.width)}.`;
        this.commit({ visits, name: this.nameOf(visits) }, text);
      },
      cancel: () => {
        this.show(this.history.current);
        this.say("The unit is back at its place.");
      },
      focus: (unit, place) => this.unitPanel.show(unit, place),
      say: (text) => this.say(text),
    });
  }

  // A plot with a title in a part of the page; `text` is the line beside the title.
  box(part, title) {
    const content = html("div", { class: "plot" }), text = html("span");
    part.append(html("section", {}, html("p", { class: "plotTitle" }, html("b", {}, title), " ", text), content));
    return { content, text };
  }

  builtStrips() {
    return Object.keys(this.record.recalibration).map((metric) => {
      const isMain = metric === MAIN_METRIC;
      const { content, text } = this.box(this.byId(isMain ? "mainStrip" : "strips"), this.record.names[metric]);
      return { metric, text, plot: new StripPlot(content, stripData(this.record, metric), isMain) };
    });
  }

  builtCurves() {
    const { model } = this;
    this.byId("curvesSection").hidden = model.readouts.length < 2;
    return [MAIN_METRIC, ...model.goals.map((goal) => `heldout/${goal}`)].map((metric) => {
      const of = (losses) => model.readouts.map((_, place) => metricsOf(model.goals, losses[place])[metric]);
      const { content } = this.box(this.byId("curves"), this.record.names[metric]);
      return { of, plot: new Curve(content, model.readouts, of(this.referenceLosses)) };
    });
  }

  builtUnitPanel() {
    const elements = { bars: this.byId("unitBars"), heading: this.byId("unitHeading"), reference: this.byId("unitReference") };
    const homes = new Map(this.referenceVisits.map((unit, place) => [unit, Math.floor(place / this.width)]));
    const panel = new UnitPanel(elements, this.record.maps, this.domains, homes, this.width);
    this.byId("unitSection").hidden = !this.record.maps;
    this.byId("way").onchange = (event) => panel.showWay(event.target.value);
    return panel;
  }

  builtComparison() {
    return new Comparison(this.byId("comparison"), this.domains, this.record, {
      show: (entry) => this.commit({ visits: entry.visits, name: entry.name }, `Showing order ${entry.letter}.`),
      removed: ({ letter }) => {
        this.byId("keep").focus();  // the button that had the focus is gone
        this.say(`Order ${letter} is removed.`);
      },
      changed: (entries) => {
        for (const { metric, plot } of this.strips) {
          plot.showExtra(entries.map(({ letter, estimates }) => (
            { name: letter, value: estimates[metric].value, kind: "kept" }
          )));
        }
      },
    });
  }

  // The name of the study's order with these units; empty if there is none.
  nameOf(visits) {
    const { orders } = this.record;
    return Object.keys(orders).find((name) => orders[name].every((unit, i) => unit === visits[i])) || "";
  }

  // Goes back or forth in the history; way: undo or redo.
  step(way) {
    this.improvePanel.improver.stop();
    this.show(this.history[way]());
    this.say(`${way === "undo" ? "Undone" : "Redone"}. ${this.summary()}`);
  }

  // Makes an order the current one; text says what was done.
  commit(entry, text) {
    this.improvePanel.improver.stop();
    this.history.push(entry);
    this.show(entry);
    this.say(`${text} ${this.summary()}`);
  }

  show(entry) {
    this.render(entry);
    this.byId("undo").disabled = !this.history.canUndo;
    this.byId("redo").disabled = !this.history.canRedo;
  }

  // Draws an order without a change of the history.
  render({ visits, name }) {
    const { record } = this, result = this.estimates(visits), { losses, estimates, beyond } = result;
    Object.assign(this.state, { ...result, name, schedule: asSchedule(visits, this.width) });
    this.blocks.show(visits);
    this.byId("order").value = record.orders[name] ? name : "";
    this.byId("estimates").replaceChildren(...tableRows(record, { name, estimates, beyond }));
    this.note.show({ name, estimates, beyond });
    this.unitPanel.follow(visits, name === record.reference);
    for (const { metric, text, plot } of this.strips) {
      plot.show(estimates[metric], name);
      text.textContent = estimateText(record, metric, estimates[metric]);
    }
    for (const { of, plot } of this.curves) plot.show(of(losses));
  }

  summary() {
    const { record } = this, { estimates, beyond } = this.state, warning = beyondText(record, beyond);
    const estimate = `Estimated ${record.names[MAIN_METRIC]} ${estimateText(record, MAIN_METRIC, estimates[MAIN_METRIC])}.`;
    return warning ? `${estimate} ${warning}` : estimate;
  }

  resize() {
    for (const { plot } of [...this.strips, ...this.curves]) {
      const width = plot.element.clientWidth;
      if (width && width !== plot.width) plot.draw(width);
    }
    this.unitPanel.resize();
  }
}

new Explorer(JSON.parse(document.getElementById("record").textContent));

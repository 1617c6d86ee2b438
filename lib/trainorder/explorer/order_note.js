"use strict";
// What a reader of an order's intervals needs to know: are they calibrated for it, does its true loss
// lie inside, and which estimates are beyond the calibrated range. It needs estimates.js and svg.js.

const MAIN_METRIC = "heldout";

class OrderNote {
  constructor(element, record) {
    Object.assign(this, { element, record });
  }

  // shown: { name, estimates, beyond } of the current order.
  show(shown) {
    const { record } = this, warning = beyondText(record, shown.beyond);
    const lines = [coverageText(record), `${kindText(record, shown.name)} ${truthText(record, shown)}`];
    this.element.classList.toggle("warning", Boolean(warning));
    this.element.replaceChildren(
      ...lines.filter(Boolean).map((line) => html("p", {}, line)),
      ...(warning ? [html("p", { class: "beyond" }, html("b", {}, warning), ` ${beyondAdvice(record, shown.name)}`)] : []),
    );
  }
}

// How many held-back random orders have their true loss inside the interval.
function coverageText(record) {
  const count = record.coverage[MAIN_METRIC].random;
  if (!count) return "This study has too few calibration orders for intervals.";
  const share = `${Math.round(100 * count.inside / count.n)} %`;
  return `An interval is meant to contain the true loss of ${percent(record)} of random orders. Of the ${count.n} held-back `
    + `random orders, which were retrained, ${count.inside} (${share}) have their true ${record.names[MAIN_METRIC]} inside.`
    + (count.judged ? ` So the intervals are ${count.judged} here.` : "");
}

function percent(record) { return `${Number((100 * record.probability).toPrecision(6))} %`; }

// Whether the intervals are calibrated for an order, from the way in which it was made.
function kindText(record, name) {
  const group = record.groups[name];
  if (name === record.reference && record.drawn.includes(name)) {
    return `${name} was drawn at random, as the orders on which intervals are calibrated.`;
  }
  if (group === "random") return `${name} is one of the held-back random orders.`;
  if (group === "calibration") return `${name} is one of the random orders on which intervals are calibrated.`;
  const own = name ? `${name} is your own order` : "This order is your own";
  const what = group ? `${name} is not a random order` : `${own}, not a random one`;
  return `${what}, so its intervals are not calibrated for it.${deliberateText(record, group)}`;
}

// How often the intervals of deliberate orders contain the truth.
function deliberateText(record, group) {
  const count = record.coverage[MAIN_METRIC].structured;
  if (!count) return "";
  const which = group === "structured" ? "structured orders like it" : "structured orders";
  return ` Of the ${count.n} ${which}, ${count.inside} have their true ${record.names[MAIN_METRIC]} inside.`;
}

// Where the true losses of a retrained order lie.
function truthText(record, shown) {
  const truth = record.truth[shown.name], { low } = shown.estimates[MAIN_METRIC];
  if (!truth) return "It was not retrained: its true loss is unknown.";
  if (low === null) return `Its true ${record.names[MAIN_METRIC]} is ${shownLoss(truth[MAIN_METRIC])}.`;
  const missed = missedMetrics(record, shown);
  const isOutside = missed.includes(MAIN_METRIC), count = record.coverage[MAIN_METRIC].random;
  const alike = isOutside && count && record.drawn.includes(shown.name)
    ? `, as for ${count.n - count.inside} of the ${count.n} held-back random orders` : "";
  const first = `Its true ${record.names[MAIN_METRIC]}, ${shownLoss(truth[MAIN_METRIC])}, lies ${isOutside ? "outside" : "inside"}${alike}.`;
  return `${first} ${countText(missed.length, Object.keys(shown.estimates).length)}`.trim();
}

function countText(missed, all) {
  if (all === 1) return "";
  if (missed === 0) return `All its ${all} true losses lie inside their intervals.`;
  if (missed === all) return `All its ${all} true losses lie outside their intervals.`;
  return `${missed} of its ${all} true losses ${missed === 1 ? "lies" : "lie"} outside.`;
}

// What to do with an order whose estimates are beyond the calibrated range.
function beyondAdvice(record, name) {
  return record.truth[name] ? "This order was retrained: use its true losses." : "Retrain this order before you use it.";
}

// Names the metrics whose estimates are beyond the calibrated range; empty if none is.
function beyondText(record, beyond) {
  if (!beyond.length) return "";
  return `Beyond the calibrated range: ${beyond.map((metric) => `“${record.names[metric]}”`).join(", ")}.`;
}

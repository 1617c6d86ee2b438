"use strict";
// The estimates of an order: raw metrics, recalibrated values with intervals, and which of them lie
// beyond the calibrated range. It needs replay.js, metrics.js and recalibration.js.

// Returns { losses, raw, estimates, beyond } of a list of units.
function estimatesOf(record, replay, visits) {
  const losses = replay.run(visits), raw = rawMetrics(replay.model, losses);
  const estimates = {}, beyond = [];
  for (const [metric, value] of Object.entries(raw)) {
    const range = record.range[metric];
    estimates[metric] = recalibrated(record.recalibration[metric], value);
    if (range !== null && (value < range[0] || value > range[1])) beyond.push(metric);
  }
  return { losses, raw, estimates, beyond };
}

// The metrics of a retrained order whose true value lies outside its interval; empty for other
// orders. A calibration order that gives an end of its own interval is on this end, not outside.
function missedMetrics(record, { name, estimates }) {
  const truth = record.truth[name];
  if (!truth) return [];
  return Object.keys(estimates).filter((metric) => {
    const { low, high } = estimates[metric];
    return low !== null && (truth[metric] < low - 1e-6 || truth[metric] > high + 1e-6);
  });
}

// The rows of the table of estimates. shown: { name, estimates, beyond }.
function tableRows(record, shown) {
  const truth = record.truth[shown.name], reference = record.truth[record.reference];
  const missed = missedMetrics(record, shown);
  return Object.entries(shown.estimates).map(([metric, { value, low, high }]) => {
    const notes = [
      shown.beyond.includes(metric) && "outside the calibrated range",
      missed.includes(metric) && "true loss outside the interval",
    ];
    return html("tr", {},
      html("th", { scope: "row" }, record.names[metric]),
      html("td", { "data-metric": metric }, shownLoss(value)),
      html("td", {}, low === null ? "–" : `${shownLoss(low)} to ${shownLoss(high)}`),
      html("td", {}, shownChange(value - record.referenceEstimates[metric])),
      html("td", {}, truth ? shownLoss(truth[metric]) : "not retrained"),
      html("td", {}, truth && reference ? shownChange(truth[metric] - reference[metric]) : "–"),
      html("td", { class: "note" }, notes.filter(Boolean).join("; ")));
  });
}

// How a value compares with held-back random orders, in words. spread: their { mean, std }, or null.
function besideRandom(spread, value) {
  if (!spread) return "";
  const size = Math.abs((value - spread.mean) / spread.std).toFixed(1);
  return size === "0.0" ? "like the mean random order"
    : `${size} spreads ${value < spread.mean ? "below" : "above"} the mean random order`;
}

// An estimate with its interval, and how it compares with random orders.
function estimateText(record, metric, { value, low, high }) {
  const interval = low === null ? "" : ` [${shownLoss(low)}, ${shownLoss(high)}]`;
  const beside = besideRandom(record.spread[metric], value);
  return `${shownLoss(value)}${interval}${beside && `, ${beside}`}`;
}

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

// The rows of the table of estimates. shown: { name, estimates, beyond }.
function tableRows(record, shown) {
  const truth = record.truth[shown.name];
  return Object.entries(shown.estimates).map(([metric, { value, low, high }]) => {
    // A calibration order that gives an end of its own interval is on this end, not outside.
    const missed = truth && low !== null && (truth[metric] < low - 1e-6 || truth[metric] > high + 1e-6);
    const notes = [
      shown.beyond.includes(metric) && "outside the calibrated range",
      missed && "retrained: outside the interval",
    ];
    return html("tr", {},
      html("th", { scope: "row" }, metric),
      html("td", { "data-metric": metric }, shownLoss(value)),
      html("td", {}, low === null ? "–" : `${shownLoss(low)} to ${shownLoss(high)}`),
      html("td", {}, shownChange(value - record.referenceEstimates[metric])),
      html("td", {}, truth ? shownLoss(truth[metric]) : "not retrained"),
      html("td", { class: "note" }, notes.filter(Boolean).join("; ")));
  });
}

// The mean of a weighted sum of metrics over the retrained random orders, and its spread: the
// standard deviation; 0 with too few orders.
function randomOrders(record, weights) {
  if (record.random.length < 3) return { mean: 0, spread: 0 };
  const values = record.random.map((name) => weighted(weights, record.truth[name]));
  const mean = meanOfList(values), squares = values.map((value) => (value - mean) ** 2);
  return { mean, spread: Math.sqrt(squares.reduce((a, b) => a + b, 0) / (values.length - 1)) };
}

// How an estimate compares with random orders, in words.
function besideRandom(record, metric, value) {
  const { mean, spread } = randomOrders(record, { [metric]: 1 });
  if (!spread) return "";
  const size = Math.abs((value - mean) / spread).toFixed(1);
  return size === "0.0" ? "like the mean random order"
    : `${size} spreads ${value < mean ? "below" : "above"} the mean random order`;
}

// An estimate with its interval, and how it compares with random orders.
function estimateText(record, metric, { value, low, high }) {
  const interval = low === null ? "" : ` [${shownLoss(low)}, ${shownLoss(high)}]`;
  const beside = besideRandom(record, metric, value);
  return `${shownLoss(value)}${interval}${beside && `, ${beside}`}`;
}

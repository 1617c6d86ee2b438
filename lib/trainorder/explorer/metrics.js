"use strict";
// From losses to metrics and to what is searched for, as `data/metrics.py` and
// `curriculum/objective.py` do.

function meanOfList(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

// The metrics of one row of losses of the goals.
function metricsOf(goals, losses, prefix = "") {
  const metrics = { [`${prefix}heldout`]: meanOfList(losses) };
  goals.forEach((goal, i) => { metrics[`${prefix}heldout/${goal}`] = losses[i]; });
  return metrics;
}

// The raw metrics at the end, from the losses (places, goals) of a replay.
function rawMetrics(model, losses) {
  const isAveraged = Boolean(model.averagedStates);
  const end = losses[losses.length - (isAveraged ? 2 : 1)];
  const averaged = isAveraged ? metricsOf(model.goals, losses[losses.length - 1], "averaged_") : {};
  return { ...metricsOf(model.goals, end), ...averaged };
}

// Sum of weight times metric.
function weighted(weights, metrics) {
  return Object.entries(weights).reduce((sum, [name, weight]) => sum + weight * metrics[name], 0);
}

// The objective of a replay that reads `places` readouts: its mean over them. Metrics of averaged
// weights are those of the end at each of them.
function objectiveOf(model, weights, losses, places) {
  const end = rawMetrics(model, losses);
  return meanOfList(places.map((_, i) => (
    weighted(weights, { ...end, ...metricsOf(model.goals, losses[i]) })
  )));
}

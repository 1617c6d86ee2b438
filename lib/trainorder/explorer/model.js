"use strict";
// The reduced model of the page, from the record of `CompactModel`. It needs packed.js.

function decodeModel(record) {
  const arrays = {};
  for (const [name, entry] of Object.entries(record.arrays)) arrays[name] = unpacked(entry);
  const [, columns, rows, writers] = arrays.steps.shape;
  const [, clusters, r, q] = arrays.clusterCores.shape;
  const [units, directions] = arrays.unitCores.shape;
  const model = {
    ...record, arrays, columns, rows, writers, q, clusters, r, units, directions,
    count: record.rates.length, patterns: rows - 1,
  };
  // The units' losses have a factor where the study follows a run with such losses; goals have none.
  const core = (t) => meanCore(model, t).map((value) => value / record.lossScale);
  model.meanCores = record.readouts.map(core);
  const steps = Array.from({ length: record.averagedStates }, (_, i) => model.count - i);
  model.averagedCore = record.averagedStates ? meanOf(steps.map(core)) : null;
  return model;
}

// Places of the anchors before and after step t, and the weight of the second.
function bracket(anchors, t) {
  let high = 0;
  while (high < anchors.length && anchors[high] < t) high += 1;
  if (high === anchors.length) return [high - 1, high - 1, 0];
  if (high === 0 || anchors[high] === t) return [high, high, 0];
  const low = high - 1;
  return [low, high, (t - anchors[low]) / (anchors[high] - anchors[low])];
}

function meanOf(arrays) {
  return arrays[0].map((_, i) => arrays.reduce((sum, values) => sum + values[i], 0) / arrays.length);
}

// The mean curvature (r, r) of the units after t updates.
function meanCore(model, t) {
  const { r, q, clusters, units, directions, labels } = model;
  const { clusterCores, unitCores, unitReaders } = model.arrays;
  const [low, high, weight] = bracket(model.probedSteps, t), mean = new Float64Array(r * r);
  const add = (i, share, values, start) => {
    for (let j = 0; j < r; j += 1) mean[i * r + j] += share * values[start + j];
  };
  const sizes = new Float64Array(clusters), own = new Float64Array(directions * q);
  for (const label of labels) sizes[label] += 1 / units;
  for (let i = 0; i < unitCores.values.length; i += 1) {
    own[i % own.length] += unitCores.values[i] / units;
  }
  for (let i = 0; i < r; i += 1) {
    for (let c = 0; c < clusters; c += 1) {
      add(i, sizes[c] * (1 - weight), clusterCores.values, ((low * clusters + c) * r + i) * q);
      add(i, sizes[c] * weight, clusterCores.values, ((high * clusters + c) * r + i) * q);
    }
    for (let n = 0; n < directions; n += 1) add(i, unitReaders.values[n * r + i], own, n * q);
  }
  return mean;
}

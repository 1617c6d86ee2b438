"use strict";
// Helpers to draw.

function svg(name, attributes = {}, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== "") element.textContent = text;
  return element;
}

function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in element && typeof value !== "string") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

// A map from numbers [low, high] to pixels [first, last].
function scale(low, high, first, last) {
  const span = high - low || 1;
  return (value) => first + (last - first) * (value - low) / span;
}

// Round numbers between low and high, about `count` of them.
function ticks(low, high, count) {
  const rough = (high - low || 1) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const result = [];
  for (let i = Math.ceil(low / step); i * step <= high; i += 1) result.push(i * step);
  return { values: result, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

// A loss in nats per token.
function shownLoss(value) {
  return value.toFixed(4);
}

// A difference with its sign; one that is zero as it is shown has a plus.
function shownChange(value, digits = 4) {
  const size = Math.abs(value).toFixed(digits);
  return `${value < 0 && Number(size) > 0 ? "−" : "+"}${size}`;
}

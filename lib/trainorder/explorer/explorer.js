"use strict";
// The page: blocks that the user drags, and a table of estimates. It needs reduced.js and
// recalibration.js.

(function start() {
  const record = JSON.parse(document.getElementById("record").textContent);
  const model = decodeModel(record.model);
  const width = record.units_per_step, domains = [...new Set(record.unit_domains)].sort();
  // The palette of Okabe and Ito, which colour-blind readers can tell apart; letters say the same.
  const colours = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"];
  const grey = "#8a8a8a";
  const strip = document.getElementById("strip"), choice = document.getElementById("order");
  let visits = [], name = "reference", grabbed = null;

  function colour(domain) {
    return domain === "mixed" ? grey : colours[domains.indexOf(domain) % colours.length];
  }

  function asSchedule(flat) {
    const rows = [];
    for (let i = 0; i < flat.length; i += width) rows.push(flat.slice(i, i + width));
    return rows;
  }

  // Tests and other scripts read this: the schedule, and by metric the estimate with its interval
  // ({ value, low, high }) and the raw estimate.
  const state = { schedule: [], estimates: {}, raw: {} };
  window.explorer = state;

  function moved(from, to) {
    const rest = visits.slice();
    const [unit] = rest.splice(from, 1);
    rest.splice(to, 0, unit);
    visits = rest;
    name = "";
    render(to);
  }

  function block(unit, place) {
    const button = document.createElement("button");
    const domain = record.unit_domains[unit];
    button.className = "block";
    button.style.background = colour(domain);
    button.textContent = domain.slice(0, 2);
    button.dataset.place = place;
    button.title = `unit ${unit}, ${domain}, step ${Math.floor(place / width)}`;
    button.setAttribute("aria-label", button.title);
    button.addEventListener("pointerdown", (event) => {
      button.releasePointerCapture(event.pointerId);  // otherwise a touch sends all later events to this button
      grabbed = place;
      button.classList.add("grabbed");
    });
    button.addEventListener("keydown", (event) => {
      const shift = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const to = place + shift;
      if (shift && to >= 0 && to < visits.length) {
        event.preventDefault();
        moved(place, to);
      }
    });
    return button;
  }

  function under(event) {
    const element = document.elementFromPoint(event.clientX, event.clientY);
    return element && element.closest ? element.closest("button.block") : null;
  }

  document.addEventListener("pointermove", (event) => {
    if (grabbed === null) return;
    strip.querySelectorAll(".target").forEach((other) => other.classList.remove("target"));
    const target = under(event);
    if (target) target.classList.add("target");
  });
  document.addEventListener("pointerup", (event) => {
    if (grabbed === null) return;
    const from = grabbed, target = under(event);
    grabbed = null;
    if (target && Number(target.dataset.place) !== from) moved(from, Number(target.dataset.place));
    else render(from);
  });

  function step(units, t) {
    const column = document.createElement("div");
    column.className = "step";
    units.forEach((unit, i) => column.append(block(unit, t * width + i)));
    const label = document.createElement("span");
    label.textContent = t % 4 === 0 ? t : "";
    column.append(label);
    return column;
  }

  function cell(row, text, kind) {
    const element = document.createElement(kind || "td");
    element.textContent = text;
    row.append(element);
    return element;
  }

  function estimate() {
    const losses = predictLosses(model, state.schedule);
    state.raw = {};
    ["", "averaged_"].slice(0, losses.length / model.goals.length).forEach((prefix, set) => {
      const own = losses.slice(set * model.goals.length, (set + 1) * model.goals.length);
      state.raw[`${prefix}heldout`] = own.reduce((a, b) => a + b, 0) / own.length;
      model.goals.forEach((goal, i) => { state.raw[`${prefix}heldout/${goal}`] = own[i]; });
    });
    state.estimates = {};
    for (const [metric, raw] of Object.entries(state.raw)) {
      state.estimates[metric] = recalibrated(record.recalibration[metric], raw);
    }
  }

  function table() {
    const body = document.getElementById("estimates");
    const truth = record.truth[name];
    body.replaceChildren();
    let beyond = false;
    for (const [metric, { value, low, high }] of Object.entries(state.estimates)) {
      const row = document.createElement("tr");
      const raw = state.raw[metric], range = record.range[metric];
      const out = range !== null && (raw < range[0] || raw > range[1]);
      beyond = beyond || out;
      cell(row, metric, "th");
      cell(row, value.toFixed(4)).dataset.metric = metric;
      cell(row, low === null ? "–" : `${low.toFixed(4)} to ${high.toFixed(4)}`);
      const change = value - record.reference[metric];
      const shown = Math.abs(change).toFixed(4);
      cell(row, `${change < 0 && Number(shown) > 0 ? "−" : "+"}${shown}`);
      cell(row, truth ? truth[metric].toFixed(4) : "not retrained");
      // A calibration order that gives an end of its own interval is on this end, not outside.
      const missed = truth && low !== null && (truth[metric] < low - 1e-6 || truth[metric] > high + 1e-6);
      cell(row, [out && "outside the calibrated range", missed && "retrained: outside the interval"].filter(Boolean).join("; "));
      body.append(row);
    }
    document.getElementById("beyond").hidden = !beyond;
  }

  function render(focus) {
    state.schedule = asSchedule(visits);
    strip.replaceChildren(...state.schedule.map(step));
    choice.value = name;
    estimate();
    table();
    if (focus !== undefined) strip.querySelector(`[data-place="${focus}"]`).focus();
  }

  function legend() {
    const list = document.getElementById("legend");
    for (const domain of domains) {
      const item = document.createElement("li");
      const mark = document.createElement("span");
      mark.className = "block";
      mark.style.background = colour(domain);
      mark.textContent = domain.slice(0, 2);
      item.append(mark, ` ${domain}`);
      list.append(item);
    }
  }

  for (const order of ["", ...Object.keys(record.orders)]) {
    const option = document.createElement("option");
    option.value = order;
    option.textContent = order || "(your own)";
    choice.append(option);
  }
  choice.addEventListener("change", () => {
    name = choice.value;
    if (name) visits = record.orders[name].flat();
    render();
  });
  document.getElementById("save").addEventListener("click", () => {
    // `orders.custom` does not accept the names of the study's own orders.
    const order = { name: name ? `my-${name}` : "mine", schedule: state.schedule };
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify({ orders: [order] })]));
    link.download = "order.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  legend();
  visits = record.orders[name].flat();
  render();
}());

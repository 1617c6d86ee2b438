"use strict";
// Reads and writes orders as text: files of orders in JSON and CSV, as `orders/user_files.py`
// does, and links.

// Returns [{ name, visits }]; throws an Error whose message says what is wrong.
function readOrders(text, reference) {
  const trimmed = text.replace(/^\uFEFF/, "").trim();
  if (!trimmed) throw new Error("There is no text; paste an order as JSON or CSV.");
  const isJson = /^[[{]/.test(trimmed), size = reference.length;
  const entries = isJson ? jsonEntries(trimmed, size) : tableEntries(trimmed, size);
  if (!entries.length) throw new Error("The file contains no order.");
  return entries.map((entry, i) => checkedOrder(entry, i, reference));
}

function jsonEntries(text, size) {
  let content;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new Error(`This is not valid JSON: ${error.message}`);
  }
  if (!Array.isArray(content)) return Array.isArray(content.orders) ? content.orders : [content];
  const isPlain = content.length && content.flat().every((unit) => typeof unit === "number");
  return isPlain ? plainEntries(content.map((row) => [row].flat()), size) : content;
}

// Rows of units without names: one order, or one in each row.
function plainEntries(rows, size) {
  if (rows.flat().length > size && rows.every((row) => row.length === size)) {
    return rows.map((schedule, i) => ({ name: `pasted ${i + 1}`, schedule }));
  }
  return [{ name: "pasted", schedule: rows.flat() }];
}

// A table with the columns `name`, `kind` (optional) and one for each place; or rows of numbers.
function tableEntries(text, size) {
  const cellsOf = (line, separator) => line.trim().split(separator).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
  const lines = text.split(/\r?\n/).filter((line) => line.replace(/[,\s]/g, ""));
  if (!/^"?name"?,/.test(lines[0])) {
    return plainEntries(lines.map((line) => cellsOf(line, /[,;\s]+/).map(wholeNumber)), size);
  }
  const [header, ...rows] = lines.map((line) => cellsOf(line, ","));
  const first = header[1] === "kind" ? 2 : 1;
  return rows.map((cells) => ({
    name: cells[0], kind: first === 2 ? cells[1] : "", schedule: cells.slice(first).map(wholeNumber),
  }));
}

function wholeNumber(text) {
  if (!/^-?\d{1,9}$/.test(text)) throw new Error(`“${text}” is not a whole number.`);
  return Number(text);
}

function checkedOrder(entry, i, reference) {
  const isNamed = entry && typeof entry.name === "string" && entry.name;
  const name = isNamed ? entry.name : `order ${i + 1}`;
  const fail = (what) => { throw new Error(`${name}: ${what}`); };
  if (!entry || !Array.isArray(entry.schedule)) fail("there is no list of units under “schedule”.");
  const visits = entry.schedule.flat();
  const problem = problemOf(visits, reference, entry.kind === "free");
  if (problem) fail(problem);
  return { name, visits };
}

// What is wrong with a list of units; empty if nothing is. isFree: units may repeat or be absent.
function problemOf(visits, reference, isFree = false) {
  if (visits.length !== reference.length) {
    return `it has ${visits.length} units, but the window has ${reference.length} places.`;
  }
  const known = new Set(reference);
  const unknown = visits.find((unit) => !Number.isInteger(unit) || !known.has(unit));
  if (unknown !== undefined) return `there is no unit ${unknown} in this study.`;
  const sorted = (list) => [...list].sort((a, b) => a - b).join(" ");
  if (!isFree && sorted(visits) !== sorted(reference)) {
    return "it is not a permutation: a unit is absent or occurs too often.";
  }
  return "";
}

// The part of a link after #.
function linkOf(visits) {
  return `order=${visits.join(".")}`;
}

// The list of units of a link's part after #; null if it contains no order.
function visitsOfLink(hash) {
  const match = /^#?order=([\d.]+)$/.exec(hash);
  return match ? match[1].split(".").map(Number) : null;
}

function asSchedule(visits, width) {
  const rows = [];
  for (let i = 0; i < visits.length; i += width) rows.push(visits.slice(i, i + width));
  return rows;
}

// The file of one order, for `orders.custom`, which does not accept names of the study's orders.
function orderFile(entry, width) {
  const name = entry.name ? `my-${entry.name}` : "mine";
  return JSON.stringify({ orders: [{ name, schedule: asSchedule(entry.visits, width) }] });
}

function download(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text]));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

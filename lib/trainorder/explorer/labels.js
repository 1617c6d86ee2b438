"use strict";
// Where the labels of marks go: in a few rows above a plot, so that no label covers another, and no
// leader (the line from a mark up to its label) runs through a label.

const LABEL_GAP = 8, LEADER_GAP = 3;  // pixels

// marks: [{ x, size }], the most important first, with the width of the label; width: of the plot;
// rows: how many there are, row 0 next to the plot. Returns the marks that have a label, each with its
// `row`, `start` and `end`.
function placedLabels(marks, width, rows) {
  const placed = [];
  marks.forEach((mark, i) => {
    const isFree = (one) => placed.every((other) => areApart(one, other));
    const choices = labelChoices(mark, width, rows).filter(isFree);
    const costs = choices.map((one) => marks.slice(i + 1, i + 4).filter(({ x }) => covers(one, x)).length * (rows - one.row));
    if (choices.length) placed.push(choices[costs.indexOf(Math.min(...costs))]);
  });
  return placed;
}

// The places of a label: to the right of its leader, to the left, and about it, in each row.
function labelChoices(mark, width, rows) {
  const { x, size } = mark, starts = [x - 3, x - size + 3, x - size / 2]
    .map((start) => Math.max(2, Math.min(start, width - size - 2)));
  const rowOf = (row) => starts.map((start) => ({ ...mark, row, start, end: start + size }));
  return Array.from({ length: rows }, (_, row) => rowOf(row)).flat();
}

function covers({ start, end }, x) { return start - LEADER_GAP <= x && x <= end + LEADER_GAP; }

function areApart(one, other) {
  if (one.row === other.row) return one.start >= other.end + LABEL_GAP || other.start >= one.end + LABEL_GAP;
  return one.row < other.row ? !covers(one, other.x) : !covers(other, one.x);
}

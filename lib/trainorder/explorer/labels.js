"use strict";
// Where the labels of marks go: in a few rows above a plot, so that no label covers another, and no
// leader (the line from a mark up to its label) runs through a label.

const LABEL_GAP = 8, LEADER_GAP = 3;  // pixels

// marks: [{ x, size }], the most important first, with the width of the label; width: of the plot;
// rows: how many there are, row 0 next to the plot. Returns the marks that have a label, each with its
// `row`, `start` and `end`.
function placedLabels(marks, width, rows) {
  const placed = [];
  for (const mark of marks) {
    const { x, size } = mark, starts = [x - 3, x - size + 3, x - size / 2]
      .map((start) => Math.max(2, Math.min(start, width - size - 2)));
    const choices = Array.from({ length: rows }, (_, row) => (
      starts.map((start) => ({ ...mark, row, start, end: start + size }))
    ));
    const choice = choices.flat().find((one) => placed.every((other) => areApart(one, other)));
    if (choice) placed.push(choice);
  }
  return placed;
}

function areApart(one, other) {
  if (one.row === other.row && one.start < other.end + LABEL_GAP && other.start < one.end + LABEL_GAP) return false;
  const [low, high] = one.row < other.row ? [one, other] : [other, one];
  return low.row === high.row || high.x < low.start - LEADER_GAP || high.x > low.end + LEADER_GAP;
}

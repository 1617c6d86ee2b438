"use strict";
// The orders that were shown, for undo and redo. An entry is { visits, name }.

class OrderHistory {
  constructor(entry) {
    this.entries = [entry];
    this.place = 0;
  }

  get current() { return this.entries[this.place]; }
  get canUndo() { return this.place > 0; }
  get canRedo() { return this.place < this.entries.length - 1; }

  // Adds an entry after the current one; entries that were undone are removed.
  push(entry) {
    this.entries = [...this.entries.slice(0, this.place + 1), entry];
    this.place += 1;
  }

  undo() {
    if (this.canUndo) this.place -= 1;
    return this.current;
  }

  redo() {
    if (this.canRedo) this.place += 1;
    return this.current;
  }
}

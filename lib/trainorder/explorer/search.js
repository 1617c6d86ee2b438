"use strict";
// Local search for a better order. It tries all insertions and swaps in a random sequence, and takes
// the first that is better. If none is, it continues a few random moves away from the best order. It
// ends by itself after RESTARTS or UNCHANGED orders in a row without a better one.

const RESTARTS = 8;
const UNCHANGED = 1000;
const KICKS = 3;  // random moves at a restart

// A generator of numbers in [0, 1) (mulberry32), so that a search can be repeated.
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6D2B79F5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// The unit at one place moves to another; the others keep their order.
function inserted(visits, from, to) {
  const result = visits.slice();
  const [unit] = result.splice(from, 1);
  result.splice(to, 0, unit);
  return result;
}

function swapped(visits, i, j) {
  const result = visits.slice();
  [result[i], result[j]] = [result[j], result[i]];
  return result;
}

class LocalSearch {
  // score(visits, keep): lower is better; keep: this order is the base of the next scores.
  // isAllowed(visits): whether an order meets the constraints.
  constructor(start, score, isAllowed, seed = 1) {
    this.score = score;
    this.isAllowed = isAllowed;
    this.random = randomNumbers(seed);
    this.scored = 0;
    this.waited = 0;
    this.isDone = false;
    this.lowest = Infinity;  // of all orders so far
    this.lowestAt = 0;  // the number of orders that were scored when it was found
    this.best = start;
    this.bestValue = this.moveTo(start);
  }

  // Scores an order, makes it the current one, and shuffles its moves.
  moveTo(visits) {
    this.current = visits;
    this.value = this.score(visits, true);
    this.scored += 1;
    if (this.value < this.lowest) {
      this.lowest = this.value;
      this.lowestAt = this.scored;
    }
    if (!this.moves) this.moves = this.shuffled(visits.length);
    this.left = this.moves.length;
    return this.value;
  }

  // All insertions and swaps of n places, each as one number.
  shuffled(n) {
    const moves = [];
    for (let i = 0; i < n; i += 1) {
      for (let j = 0; j < n; j += 1) {
        if (i !== j) moves.push(i * n + j);
        if (i < j - 1) moves.push(-(i * n + j));
      }
    }
    for (let i = moves.length - 1; i > 0; i -= 1) {
      const j = Math.floor(this.random() * (i + 1));
      [moves[i], moves[j]] = [moves[j], moves[i]];
    }
    this.next = 0;
    return moves;
  }

  neighbour(visits, move) {
    const n = visits.length, i = Math.floor(Math.abs(move) / n), j = Math.abs(move) % n;
    return move > 0 ? inserted(visits, i, j) : swapped(visits, i, j);
  }

  // The orders that were scored since the best one.
  get unchanged() { return this.scored - this.lowestAt; }

  // Tries one move.
  advance() {
    if (this.unchanged >= UNCHANGED) {
      this.isDone = true;
      return;
    }
    if (this.left <= 0) {
      this.restart();
      return;
    }
    const candidate = this.neighbour(this.current, this.moves[this.next]);
    this.next = (this.next + 1) % this.moves.length;
    this.left -= 1;
    if (!this.isAllowed(candidate)) return;
    this.scored += 1;
    if (this.score(candidate, false) < this.value) this.moveTo(candidate);
  }

  restart() {
    if (this.value < this.bestValue) {
      this.best = this.current;
      this.bestValue = this.value;
      this.waited = 0;
    } else {
      this.waited += 1;
    }
    this.isDone = this.waited >= RESTARTS || !this.moves.length;
    if (!this.isDone) this.moveTo(this.kicked(this.best));
  }

  kicked(visits) {
    let result = visits;
    for (let kick = 0; kick < KICKS; kick += 1) {
      const move = this.moves[Math.floor(this.random() * this.moves.length)];
      const candidate = this.neighbour(result, move);
      if (this.isAllowed(candidate)) result = candidate;
    }
    return result;
  }

  // The best order so far, and its value.
  result() {
    const isCurrent = this.value < this.bestValue;
    return {
      visits: isCurrent ? this.current : this.best,
      value: isCurrent ? this.value : this.bestValue,
      scored: this.scored,
      unchanged: this.unchanged,
      isDone: this.isDone,
    };
  }
}

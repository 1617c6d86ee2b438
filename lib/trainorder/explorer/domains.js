"use strict";
// Colours and letters of the domains. Letters say the same as colours, for grey prints and screens.

// The palette of Okabe and Ito, which colour-blind readers can tell apart.
const PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"];
const MIXED = "mixed", GREY = "#8a8a8a";

class Domains {
  constructor(unitDomains) {
    this.ofUnit = unitDomains;
    this.names = [...new Set(unitDomains)].sort();
    const pure = this.names.filter((name) => name !== MIXED);
    this.colours = new Map(pure.map((name, i) => [name, PALETTE[i % PALETTE.length]]));
    this.colours.set(MIXED, GREY);
    this.codes = shortCodes(this.names);
  }

  colour(name) { return this.colours.get(name); }

  // Black or white, which has more contrast on the colour.
  ink(name) {
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(this.colour(name).slice(i, i + 2), 16) / 255);
    return 0.299 * r + 0.587 * g + 0.114 * b > 0.55 ? "#000" : "#fff";
  }
}

// Two letters of each name, different for different names where the letters allow it.
function shortCodes(names) {
  const codes = new Map(), used = new Set();
  for (const name of names) {
    const letters = [...name];
    const pairs = letters.slice(1).map((letter) => letters[0] + letter);
    const code = [...pairs, letters[0] || "?"].find((pair) => !used.has(pair)) || pairs[0] || letters[0];
    used.add(code);
    codes.set(name, code);
  }
  return codes;
}

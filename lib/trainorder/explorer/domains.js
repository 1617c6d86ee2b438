"use strict";
// The codes and colours of the domains, from `explorer/domain_marks.py`.

const MIXED = "mixed";

class Domains {
  // unitDomains: the domain of each unit; marks: by domain [code, colour, ink].
  constructor(unitDomains, marks) {
    this.ofUnit = unitDomains;
    this.marks = new Map(Object.entries(marks));
    this.names = [...this.marks.keys()];
  }

  code(name) { return this.marks.get(name)[0]; }

  // Draws a block of a domain: its code on its colour.
  paint(element, name) {
    const [code, colour, ink] = this.marks.get(name);
    element.textContent = code;
    element.style.background = colour;
    element.style.color = ink;
  }
}

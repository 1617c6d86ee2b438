"use strict";
// The constraints of a search, as `curriculum/constraints.py` counts them.

// rules: { reference, domains, pinned: [{ unit, step }], quotas: [{ domain, first, last, least,
// most }], furthest }, with the list of units of the reference order; `most` and `furthest` may be
// null. Returns the number of units that break them in a list of units.
function violations(rules, visits, width) {
  const home = new Map(rules.reference.map((unit, place) => [unit, Math.floor(place / width)]));
  const pins = new Map(rules.pinned.map(({ unit, step }) => [unit, step]));
  let broken = 0;
  const counts = rules.quotas.map(() => 0);
  visits.forEach((unit, place) => {
    const step = Math.floor(place / width);
    const isFar = rules.furthest !== null && Math.abs(step - home.get(unit)) > rules.furthest;
    if (isFar || (pins.has(unit) && pins.get(unit) !== step)) broken += 1;
    rules.quotas.forEach((quota, i) => {
      const isInside = quota.first <= step && step <= quota.last;
      if (isInside && rules.domains[unit] === quota.domain) counts[i] += 1;
    });
  });
  rules.quotas.forEach((quota, i) => {
    broken += Math.max(0, quota.least - counts[i]);
    if (quota.most !== null) broken += Math.max(0, counts[i] - quota.most);
  });
  return broken;
}

function isFree(rules) {
  return !rules.pinned.length && !rules.quotas.length && rules.furthest === null;
}

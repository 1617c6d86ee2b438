"use strict";
// The search in a worker, so that the page stays responsive. It needs replay.js, metrics.js,
// constraints.js and search.js.

const REPORT_EVERY = 150;  // milliseconds
const LONGEST_WAIT = 15000;  // milliseconds without a better order, after which a search ends

// Reports are results of `LocalSearch` with the seconds `waited` without a better order.
// job: { model, weights, places, rules, width, start, seed }.
function searchOf(job) {
  const replay = new Replay(job.model, job.places);
  const score = (visits, keep) => (
    objectiveOf(job.model, job.weights, replay.run(visits, keep), job.places)
  );
  const isAllowed = isFree(job.rules)
    ? () => true : (visits) => violations(job.rules, visits, job.width) === 0;
  return new LocalSearch(job.start, score, isAllowed, job.seed);
}

function serveSearches(scope) {
  scope.onmessage = (event) => {
    const search = searchOf(event.data);
    let reported = -Infinity, lowest = Infinity, changed = Date.now();
    while (!search.isDone) {
      search.advance();
      const now = Date.now();
      if (search.lowest < lowest) {
        lowest = search.lowest;
        changed = now;
      }
      if (now - changed > LONGEST_WAIT) break;
      if (now - reported > REPORT_EVERY) {
        reported = now;
        scope.postMessage({ ...search.result(), waited: (now - changed) / 1000 });
      }
    }
    scope.postMessage({ ...search.result(), isDone: true });
  };
}

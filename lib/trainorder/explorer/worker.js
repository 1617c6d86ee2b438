"use strict";
// The search in a worker, so that the page stays responsive. It needs replay.js, metrics.js,
// constraints.js and search.js.

const REPORT_EVERY = 150;  // milliseconds

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
    let reported = -Infinity;
    while (!search.isDone) {
      search.advance();
      if (Date.now() - reported > REPORT_EVERY) {
        reported = Date.now();
        scope.postMessage(search.result());
      }
    }
    scope.postMessage(search.result());
  };
}

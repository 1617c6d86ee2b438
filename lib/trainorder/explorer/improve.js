"use strict";
// The search for a better order, run in a worker. It needs worker.js.

const SEARCH_SCRIPTS = ["model", "metrics", "replay", "constraints", "search", "worker"];

class Improver {
  // handlers: progress(result, seconds), ended(result) with the last result or null, and failed().
  constructor(handlers) {
    this.handlers = handlers;
    this.worker = null;
  }

  get isRunning() { return this.worker !== null; }

  // job: see worker.js.
  start(job) {
    this.stop();
    const source = SEARCH_SCRIPTS.map((name) => document.getElementById(`script-${name}`).textContent);
    const address = URL.createObjectURL(new Blob([...source, "serveSearches(self);"], { type: "text/javascript" }));
    this.began = performance.now();
    this.last = null;
    try {
      this.worker = new Worker(address);
    } catch (error) {
      this.handlers.failed();
      return;
    } finally {
      URL.revokeObjectURL(address);
    }
    this.worker.onmessage = (event) => {
      this.last = event.data;
      if (event.data.isDone) this.stop();
      else this.handlers.progress(event.data, this.seconds());
    };
    this.worker.onerror = () => {
      this.worker = null;
      this.handlers.failed();
    };
    this.worker.postMessage(job);
  }

  seconds() { return (performance.now() - this.began) / 1000; }

  // Ends the search; its best order so far is the result.
  stop() {
    if (!this.worker) return;
    this.worker.terminate();
    this.worker = null;
    this.handlers.ended(this.last);
  }
}

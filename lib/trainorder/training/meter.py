"""Measure the cost of a job: wall seconds, peak memory and passes through the model."""

import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

OTHER = "other"  # the span of passes outside every timed span


class Meter:
    """Counter of passes through the model and timer of named spans.

    Attributes:
        counts: sequences that passed through the model, by span and kind; the kinds are those of
            `training.passes`: `losses`, `gradients`, `hvps` and `third_derivatives`.
        seconds: wall seconds by span, without those of spans inside it.
        orders: number of orders that were trained or estimated.
        parameters: number of trained parameters of the model; None without a model.
        gpu: the name of the GPU; None on a CPU.
        model_commit: the commit of the pretrained model on the hub; None if it is not known.

    """

    def __init__(self) -> None:
        """Start the timer of `wall_seconds`."""
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.orders = 0
        self.parameters: int | None = None
        self.gpu: str | None = None
        self.model_commit: str | None = None
        self._span = OTHER
        self._start = time.perf_counter()

    def add(self, kind: str, sequences: int, span: str | None = None) -> None:
        """Count a pass of `kind` through `sequences`, in `span` or the one that is being timed."""
        self.counts[span or self._span][kind] += sequences

    def move(self, spans: Iterable[str], to: str) -> None:
        """Count the passes and seconds of `spans` in the span `to` instead."""
        for span in spans:
            self.counts[to].update(self.counts.pop(span, Counter()))
            self.seconds[to] += self.seconds.pop(span, 0.0)

    @property
    def total(self) -> Counter[str]:
        """Sequences by kind, summed over the spans."""
        return sum(self.counts.values(), Counter())

    def time(self, span: str) -> "_Span":
        """Return a context manager that times `span`: its seconds, and the passes inside it.

        A span that is timed inside another one takes its seconds and passes out of the other.
        """
        return _Span(self, span)

    def as_dict(self) -> dict[str, Any]:
        """Return the cost record of the job for JSON; `docs/results.md` describes its fields."""
        return {
            "wall_seconds": time.perf_counter() - self._start,
            "peak_bytes": peak_bytes(),
            "orders": self.orders,
            "counts": {span: dict(sorted(n.items())) for span, n in sorted(self.counts.items())},
            "seconds": dict(sorted(self.seconds.items())),
            "parameters": self.parameters,
            **({"gpu": self.gpu} if self.gpu else {}),
            **({"model_commit": self.model_commit} if self.model_commit else {}),
        }


class _Span:
    def __init__(self, meter: Meter, name: str) -> None:
        self.meter, self.name = meter, name

    def __enter__(self) -> None:
        self.outer, self.meter._span = self.meter._span, self.name
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        seconds = time.perf_counter() - self.start
        self.meter.seconds[self.name] += seconds
        if self.outer != OTHER:
            self.meter.seconds[self.outer] -= seconds
        self.meter._span = self.outer


def peak_bytes() -> int:
    """Return the peak resident memory of this process in bytes."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale

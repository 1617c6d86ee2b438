"""Measure the cost of a job: wall seconds, peak memory and passes through the model."""

import resource
import sys
import time
from collections import Counter, defaultdict
from typing import Any


class Meter:
    """Counter of passes through the model and timer of named spans.

    Attributes:
        counts: number of passes by kind: `gradients`, `hvps` (Hessian-vector products),
            `third_derivatives` and `forwards`. One gradient is one forward and one backward pass
            through the sequences of one unit.
        seconds: wall seconds by span.
        gpu: the name of the GPU; None on a CPU.

    """

    def __init__(self) -> None:
        """Start the timer of `wall_seconds`."""
        self.counts: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.gpu: str | None = None
        self._start = time.perf_counter()

    def add(self, kind: str, n: int = 1) -> None:
        """Count `n` passes of `kind`."""
        self.counts[kind] += n

    def time(self, span: str) -> "_Span":
        """Return a context manager that adds its wall seconds to `seconds[span]`."""
        return _Span(self, span)

    def as_dict(self) -> dict[str, Any]:
        """Return the wall seconds since the start, peak bytes, counts, seconds and GPU for JSON."""
        return {
            "wall_seconds": time.perf_counter() - self._start,
            "peak_bytes": peak_bytes(),
            "counts": dict(sorted(self.counts.items())),
            "seconds": dict(sorted(self.seconds.items())),
            **({"gpu": self.gpu} if self.gpu else {}),
        }


class _Span:
    def __init__(self, meter: Meter, name: str) -> None:
        self.meter, self.name = meter, name

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.meter.seconds[self.name] += time.perf_counter() - self.start


def peak_bytes() -> int:
    """Return the peak resident memory of this process in bytes."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale

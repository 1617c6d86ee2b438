"""Medians of wall seconds over repetitions."""

import statistics
import time
from collections.abc import Callable, Mapping

REPETITIONS = 5

Work = Callable[[], object]


def median_seconds(work: Work) -> float:
    """Return the median over repetitions, after one warm-up call."""
    return alternating_medians({"work": work})["work"]


def alternating_medians(works: Mapping[str, Work]) -> dict[str, float]:
    """Return the median of each work over repetitions, after one warm-up call of each.

    The works alternate, so that other load on the machine affects all of them.
    """
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(REPETITIONS):
        for name, work in works.items():
            times[name].append(_seconds(work))
    return {name: statistics.median(values) for name, values in times.items()}


def _seconds(work: Work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun

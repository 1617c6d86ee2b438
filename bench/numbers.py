"""Statistics over the random orders of one study, and of studies that differ in their seeds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainorder.data.metrics import domain_metrics
from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import MAIN_METRIC
from trainorder.numerics.resampling import (
    Floats,
    finite,
    percentiles,
    rank_correlation,
    rank_correlations,
    worst_if_non_finite,
)

RESAMPLES, CONFIDENCE = 2000, 0.95


@dataclass(frozen=True)
class Number:
    """A number with its interval over n orders, and the spread of the truth.

    Attributes:
        value: the number; None where it is undefined.
        low: lower end of its interval.
        high: upper end.
        n: number of orders, or of other samples, behind it.
        spread: standard deviation of the true metric over random orders, in nats per token.

    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 1
    spread: float | None = None


def main_metric(results: Results) -> list[str]:
    """Return the metric of the verdict, as a list."""
    return [MAIN_METRIC]


def domains(results: Results) -> list[str]:
    """Return the metrics of the single domains, at the last weights."""
    return domain_metrics(results.metrics)


def mean_of(values: Iterable[float | None]) -> float | None:
    """Return the mean; None if there is no value or one is missing."""
    all_values = list(values)
    known = [value for value in all_values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(all_values) else None


def pairs(results: Results, estimator: str, metric: str) -> tuple[Floats, Floats]:
    """Return raw estimated and true metric of the random orders, (n,) each."""
    points = [p for p in results.points(estimator, metric) if p.split == "random"]
    return np.array([p.raw for p in points]), np.array([p.true for p in points])


@dataclass(frozen=True)
class Drawn:
    """A statistic, and its values on bootstrap resamples of the orders."""

    value: float | None
    draws: Floats
    n: int

    def number(self, spread: float | None = None) -> Number:
        """Return the statistic with its interval."""
        return Number(self.value, *_ends(self.draws), self.n, spread)


def _ends(draws: Floats) -> tuple[float | None, float | None]:
    return percentiles(draws[~np.isnan(draws)], CONFIDENCE)


def median_rank(results: Results, estimator: str, metrics: Sequence[str], stream: int) -> Drawn:
    """Return the median over `metrics` of the order-LDS over random orders."""
    both = [pairs(results, estimator, metric) for metric in metrics]
    n = len(both[0][0])
    values = [rank_correlation(x, y) for x, y in both]
    if any(value is None for value in values):
        return Drawn(None, np.full(RESAMPLES, np.nan), n)
    index = np.random.default_rng(stream).integers(n, size=(RESAMPLES, n))
    both = [(worst_if_non_finite(x), worst_if_non_finite(y)) for x, y in both]
    draws = np.stack([rank_correlations(x[index], y[index]) for x, y in both])
    return Drawn(float(np.median([v for v in values if v is not None])), np.median(draws, 0), n)


def covered(results: Results, estimator: str, stream: int) -> Drawn:
    """Return the share of true metrics in their interval, over metrics and random orders.

    Orders are resampled with all their metrics, which are not independent.
    """
    inside = []
    for metric in results.metrics:
        recalibration = results.recalibration(estimator, metric)
        if recalibration.rank is None:
            return Drawn(None, np.full(RESAMPLES, np.nan), 0)
        raw, true = pairs(results, estimator, metric)
        _, low, high = recalibration.estimates(raw).T
        inside.append((low <= true) & (true <= high))
    shares = np.mean(inside, axis=0)
    index = np.random.default_rng(stream).integers(len(shares), size=(RESAMPLES, len(shares)))
    return Drawn(float(shares.mean()), shares[index].mean(1), len(shares) * len(inside))


def over_seeds(drawn: Mapping[str, Drawn], spreads: Mapping[str, float | None]) -> Number:
    """Return the mean of a statistic over studies; orders are resampled within each study."""
    value = mean_of(part.value for part in drawn.values())
    draws = np.mean([part.draws for part in drawn.values()], axis=0)
    n = sum(part.n for part in drawn.values())
    return Number(value, *_ends(draws), n, mean_of(spreads.values()))


def spread(results: Results, metrics: Sequence[str]) -> float | None:
    """Return the median over `metrics` of the true standard deviation over random orders."""
    deviations = [results.validation["spread"][metric]["random"]["std"] for metric in metrics]
    return finite(np.median(deviations)) if None not in deviations else None

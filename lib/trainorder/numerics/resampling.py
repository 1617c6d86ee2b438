"""Rank correlation, and bootstrap, Student and binomial intervals.

`scipy.stats.bootstrap` draws the same resamples, but its interval is NaN if the statistic of a
single resample is NaN. A rank correlation is NaN if one side of a resample is constant.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A statistic with its confidence interval over `n` observations; None if undefined."""

    value: float | None
    low: float | None
    high: float | None
    n: int


def worst_if_non_finite(values: ArrayLike) -> Floats:
    """Return `values` in float64 with NaN and both infinities replaced by +inf, the worst loss."""
    array = np.array(values, dtype=np.float64)
    array[~np.isfinite(array)] = np.inf
    return array


def rank_correlation(x: ArrayLike, y: ArrayLike) -> float | None:
    """Return Spearman's rank correlation; non-finite entries rank as worst, ties get mean ranks.

    Args:
        x: (n,) values.
        y: (n,) values.

    Returns:
        A number in [-1, 1], or None if n < 3 or if either input is constant.

    """
    x, y = worst_if_non_finite(x), worst_if_non_finite(y)
    if len(x) < 3:
        return None
    value = float(rank_correlations(x[None], y[None])[0])
    return None if math.isnan(value) else value


def rank_correlations(x: Floats, y: Floats) -> Floats:
    """Return Spearman's correlation of each row of (r, n) arrays; NaN for a constant row."""
    # As fast as scipy.stats.spearmanrho, and exactly 1 for two equal rankings with ties.
    centre = (x.shape[1] + 1) / 2
    a, b = stats.rankdata(x, axis=1) - centre, stats.rankdata(y, axis=1) - centre
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    result = np.full(len(x), np.nan)
    np.divide((a * b).sum(1), scale, out=result, where=scale > 0)
    np.clip(result, -1.0, 1.0, out=result)
    return result


def bootstrap_rank_correlation(
    estimate: ArrayLike, true: ArrayLike, resamples: int, confidence: float, seed: int
) -> Interval:
    """Return Spearman's correlation with a percentile bootstrap interval over orders.

    A resample in which one side is constant has no correlation and is dropped.

    Args:
        estimate: (n,) estimated metric; a non-finite value ranks as worst.
        true: (n,) true metric of the same orders.
        resamples: number of bootstrap resamples.
        confidence: probability of the interval, in (0, 1).
        seed: seed of the resampling. The same seed and n give the same resamples, so that two
            estimators are compared on the same resamples.

    Returns:
        The interval; value, low and high are None if n < 3 or if an input is constant.

    """
    x, y = worst_if_non_finite(estimate), worst_if_non_finite(true)
    value = rank_correlation(x, y)
    if value is None:
        return Interval(None, None, None, len(x))
    index = np.random.default_rng(seed).integers(len(x), size=(resamples, len(x)))
    drawn = rank_correlations(x[index], y[index])
    low, high = percentiles(drawn[~np.isnan(drawn)], confidence)
    return Interval(value, low, high, len(x))


def bootstrap_mean(values: ArrayLike, resamples: int, confidence: float, seed: int) -> Interval:
    """Return the mean with a percentile bootstrap interval.

    Args:
        values: (n,) values.
        resamples: number of bootstrap resamples.
        confidence: probability of the interval, in (0, 1).
        seed: seed of the resampling.

    Returns:
        The interval. Value, low and high are None if n is 0 or a value is not finite; low and high
        are None if n < 3.

    """
    array = np.array(values, dtype=np.float64)
    if len(array) == 0 or not np.isfinite(array).all():
        return Interval(None, None, None, len(array))
    if len(array) < 3:
        return Interval(float(array.mean()), None, None, len(array))
    index = np.random.default_rng(seed).integers(len(array), size=(resamples, len(array)))
    low, high = percentiles(array[index].mean(1), confidence)
    return Interval(float(array.mean()), low, high, len(array))


def student_mean(values: ArrayLike, confidence: float) -> Interval:
    """Return the mean of independent values with Student's t interval; no interval if n < 2.

    Args:
        values: (n,) finite values.
        confidence: probability of the interval, in (0, 1).

    """
    array = np.array(values, dtype=np.float64)
    if len(array) == 0:
        return Interval(None, None, None, 0)
    mean = float(array.mean())
    if len(array) == 1:
        return Interval(mean, None, None, 1)
    scale = array.std(ddof=1) / math.sqrt(len(array))
    half = float(stats.t.ppf((1 + confidence) / 2, len(array) - 1) * scale)
    return Interval(mean, mean - half, mean + half, len(array))


def percentiles(drawn: Floats, confidence: float) -> tuple[float | None, float | None]:
    """Return the ends of the percentile interval of bootstrap values (r,); None if r is 0."""
    if len(drawn) == 0:
        return None, None
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)


def binomial_share(successes: int, n: int, confidence: float) -> Interval:
    """Return the share successes / n with its exact interval (Clopper and Pearson 1934).

    Args:
        successes: number of successful trials.
        n: number of independent trials; value, low and high are None if n is 0.
        confidence: minimum probability of the interval, in (0, 1).

    """
    if n == 0:
        return Interval(None, None, None, 0)
    ends = stats.binomtest(successes, n).proportion_ci(confidence, method="exact")
    return Interval(successes / n, float(ends.low), float(ends.high), n)


def finite(value: float | np.floating | None) -> float | None:
    """Return `value` as a float; None for None, NaN and infinities, which JSON cannot hold."""
    return float(value) if value is not None and math.isfinite(value) else None

"""Recalibrates estimates on the calibration orders, and gives them prediction intervals.

An estimator that replays training often ranks orders well and has a wrong level or scale. So each
metric's raw estimate x is mapped to

    mean(y) + slope (x - mean(x))

with the raw estimates x and the truth y of the calibration orders. The slope is shrunk by its
noise: a useless estimator gets slope 0, and its estimate is the mean of the calibration orders.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import betabinom

from trainorder.evaluation.verdict import MIN_CALIBRATION
from trainorder.numerics.resampling import Floats, finite

# Standard errors below which a slope is taken for noise. With 1, the noise of few calibration
# orders too often gives a useless estimator a slope, and its error exceeds that of "no effect".
NOISE = 2.0
# Share of studies in which too few of `CHECKED` further orders may be in their intervals.
UNLUCKY = 0.02
CHECKED = 32


class Line(NamedTuple):
    """The map from a raw estimate x to intercept + slope x."""

    intercept: float
    slope: float


class Estimate(NamedTuple):
    """A recalibrated estimate with the ends of its interval; None without an interval."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LeftOutFits:
    """The fits without one of the n calibration orders, in the sequence of `orders.json`.

    Attributes:
        intercept: (n,) of the fit without each order.
        slope: (n,) of the same fits.
        residual: (n,) |truth - estimate by that fit| of the order that was left out.

    """

    intercept: Floats
    slope: Floats
    residual: Floats

    def values(self, raw: Floats) -> Floats:
        """Return the values (O, n) of raw estimates (O,) by each fit."""
        return self.intercept + raw[:, None] * self.slope


@dataclass(frozen=True)
class Recalibration:
    """How raw estimates of one metric are recalibrated; by default they are not.

    Attributes:
        intercept: of the map from raw to recalibrated estimates, in nats per token.
        slope: of the same map.
        left_out: the fits without one calibration order; None without a recalibration.
        rank: rank of the ends of an interval among the left-out fits; None if the calibration
            orders are too few for the coverage, and there is no interval.

    """

    intercept: float = 0.0
    slope: float = 1.0
    left_out: LeftOutFits | None = None
    rank: int | None = None

    @classmethod
    def fitted(cls, estimated: ArrayLike, true: ArrayLike, coverage: float) -> "Recalibration":
        """Return the recalibration that the calibration orders give.

        Args:
            estimated: (n,) raw estimates of the calibration orders.
            true: (n,) their true metric.
            coverage: least probability of the intervals, on the average over studies, in (0, 1).

        Returns:
            The recalibration. It changes nothing if there are fewer than `MIN_CALIBRATION`
            orders or if a number is not finite.

        """
        x, y = np.asarray(estimated, np.float64), np.asarray(true, np.float64)
        n = len(x)
        if n < MIN_CALIBRATION or not (np.isfinite(x).all() and np.isfinite(y).all()):
            return cls()
        others = [np.arange(n) != i for i in range(n)]
        intercept, slope = np.array([shrunk_line(x[rest], y[rest]) for rest in others]).T
        fits = LeftOutFits(intercept, slope, np.abs(y - (intercept + slope * x)))
        return cls(*shrunk_line(x, y), fits, interval_rank(n, coverage))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Recalibration":
        """Return the recalibration of an entry of `validation.json`."""
        left_out = record["leave_one_out"]
        fits = left_out and LeftOutFits(
            *(np.array(left_out[name]) for name in ("intercept", "slope", "residual"))
        )
        return cls(record["intercept"], record["slope"], fits, record["rank"])

    def record(self) -> dict[str, Any]:
        """Return the entry of `validation.json`."""
        fits = self.left_out
        return {
            "intercept": self.intercept,
            "slope": self.slope,
            "rank": self.rank,
            "leave_one_out": fits
            and {name: values.tolist() for name, values in vars(fits).items()},
        }

    def estimate(self, raw: float) -> Estimate:
        """Return the recalibrated estimate of an order, with its interval.

        An estimate that is not finite stays as it is and has no interval.
        """
        value, low, high = self.estimates(np.array([raw]))[0]
        return Estimate(float(value), finite(low), finite(high))

    def estimates(self, raw: Floats, calibration: NDArray[np.bool_] | None = None) -> Floats:
        """Return the recalibrated estimates of orders, with their intervals.

        The interval is that of the jackknife+ (Barber, Candes, Ramdas and Tibshirani 2021,
        arXiv 1905.02928, section 1.2). With `values` and `residual` of the left-out fits, its ends
        are the `rank`-th largest `values - residual` and the `rank`-th smallest
        `values + residual`, see `interval_rank`. It contains the truth of an order that is
        exchangeable with the calibration orders with a probability of about `coverage` or more,
        and of at least 2 coverage - 1 (theorem 1). It is widened to contain the estimate, which
        can be outside for an order that is unlike the calibration orders.

        Args:
            raw: (O,) raw estimates.
            calibration: (O,) which orders are the calibration orders, all of them and in their
                sequence. The estimate of such an order comes from the fit without it, and has no
                interval. None if no order is one.

        Returns:
            (O, 3): estimate, lower and upper end; NaN where there is no interval.

        """
        usable = np.isfinite(raw)
        known = np.where(usable, raw, 0.0)
        result = np.full((len(known), 3), np.nan)
        result[:, 0] = np.where(usable, self.intercept + self.slope * known, raw)
        if self.left_out is None:
            return result
        values = self.left_out.values(known)
        if self.rank is not None:
            low = np.sort(values - self.left_out.residual, axis=1)[:, -self.rank]
            high = np.sort(values + self.left_out.residual, axis=1)[:, self.rank - 1]
            result[usable, 1] = np.minimum(low, result[:, 0])[usable]
            result[usable, 2] = np.maximum(high, result[:, 0])[usable]
        if calibration is not None:
            result[calibration, 0] = np.diagonal(values[calibration])
            result[calibration, 1:] = np.nan
        return result


def shrunk_line(x: Floats, y: Floats) -> Line:
    """Return the line of y on x by least squares, with a slope that is shrunk by its noise.

        slope = b max(0, 1 - (NOISE s)^2 / b^2),    0 if b is negative

    with b the slope by least squares and s its standard error: the non-negative garrote of one
    regressor (Breiman 1995, Better Subset Regression Using the Nonnegative Garrote, Technometrics
    37). With NOISE = 1 it is the factor adjusted R^2 / R^2 of Copas (1983, Regression, Prediction
    and Shrinkage, J. R. Statist. Soc. B 45). A negative slope is noise: it would mean that an
    estimator ranks orders in reverse.

    Args:
        x: (n,) finite values, n at least 3.
        y: (n,) finite values.

    """
    mean_x, mean_y = float(x.mean()), float(y.mean())
    if x.min() == x.max():  # the mean of equal numbers may differ from them
        return Line(mean_y, 0.0)
    slope = shrunk_slope(x - mean_x, y - mean_y, len(x) - 2)
    return Line(mean_y - slope * mean_x, slope)


def shrunk_slope(x: Floats, y: Floats, freedom: int) -> float:
    """Return the slope of y = slope x by least squares, shrunk by its noise as in `shrunk_line`.

    Args:
        x: (n,) finite values.
        y: (n,) finite values.
        freedom: degrees of freedom of the residuals, at least 1.

    """
    moment = float(x @ x)
    if moment == 0:
        return 0.0
    b = float(x @ y) / moment
    if b <= 0:
        return 0.0
    noise = float(((y - b * x) ** 2).sum()) / freedom / moment
    return b * max(0.0, 1 - NOISE**2 * noise / b**2)


def interval_rank(n: int, coverage: float) -> int | None:
    """Return the rank of the ends of an interval; None if it would be above n.

    The rank is at least ceil((n + 1) coverage), so that intervals cover `coverage` on the average
    over studies. The coverage in one study depends on its calibration orders: with rank k it has
    the distribution Beta(k, n + 1 - k) if the fits do not depend on these orders (Vovk 2012,
    Conditional Validity of Inductive Conformal Predictors, arXiv 1209.2673, section 3). So of
    `CHECKED` further orders, a beta-binomial number is in its interval. The rank grows until their
    share is below 2 coverage - 1, the guaranteed mean of the jackknife+, in at most `UNLUCKY` of
    the studies. With few orders even rank n does not reach this; it is then the rank.
    """
    # (9 + 1) * 0.9 is 9.000000000000002 in floating point; without 1e-9 it would round up to 10.
    rank = math.ceil((n + 1) * coverage - 1e-9)
    if not 1 <= rank <= n:
        return None
    # The largest number of orders whose share of all is below 2 coverage - 1.
    too_few = math.ceil(CHECKED * (2 * coverage - 1) - 1e-9) - 1
    while rank < n and betabinom.cdf(too_few, CHECKED, rank, n + 1 - rank) > UNLUCKY:
        rank += 1
    return rank

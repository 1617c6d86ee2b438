"""Split-conformal prediction intervals, and the range of estimates for which they are calibrated.

Vovk, Gammerman and Shafer 2005; Lei et al. 2018 (arXiv 1604.04173), section 2.2.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from trainorder.numerics.resampling import worst_if_non_finite


def conformal_radius(residuals: ArrayLike, coverage: float) -> float | None:
    """Return the split-conformal radius: the ceil((n+1) coverage)-th smallest |residual|.

    An interval of this radius around the estimate of a new order contains the true metric with
    probability at least `coverage`, if that order is exchangeable with the calibration orders.

    Args:
        residuals: (n,) estimated minus true metric of the calibration orders; a non-finite
            residual counts as infinitely large.
        coverage: target probability, in (0, 1).

    Returns:
        The radius (possibly infinite), or None when n is too small for this coverage.

    """
    sizes = np.sort(np.abs(worst_if_non_finite(residuals)))
    # (9 + 1) * 0.9 is 9.000000000000002 in floating point; without 1e-9 it would round up to 10.
    rank = math.ceil((len(sizes) + 1) * coverage - 1e-9)
    return float(sizes[rank - 1]) if 1 <= rank <= len(sizes) else None


def interval_ends(value: float, radius: float | None) -> tuple[float | None, float | None]:
    """Return the two ends of the interval `value` -+ `radius`; None where there is no interval."""
    if radius is None or not math.isfinite(value):
        return None, None
    return value - radius, value + radius


def calibrated_range(calibration: ArrayLike, radius: float | None) -> list[float] | None:
    """Return the range of estimates that the calibration orders cover, [low, high].

    The range spans the estimates of the calibration orders and is widened by the conformal radius.
    For an estimate outside of it, no calibration order shows how large the error is.

    Args:
        calibration: (n,) estimates of the calibration orders.
        radius: conformal radius, or None where there is no interval.

    Returns:
        The range, or None without an interval or if an estimate is not finite.

    """
    estimates = np.asarray(calibration, dtype=np.float64)
    if radius is None or not np.isfinite(estimates).all():
        return None
    return [float(estimates.min() - radius), float(estimates.max() + radius)]


def is_beyond(value: float, limits: Sequence[float]) -> bool:
    """Return whether an estimate is outside the calibrated range; a non-finite one is."""
    return not limits[0] <= value <= limits[1]

"""Split-conformal intervals of an estimate."""

import math

import numpy as np
from numpy.typing import ArrayLike

from trainorder.numerics.resampling import worst_if_non_finite


def conformal_radius(residuals: ArrayLike, coverage: float) -> float | None:
    """Return the split-conformal radius: the ceil((n+1) coverage)-th smallest |residual|.

    An interval of this radius about the estimate of a further, exchangeable order holds its truth
    with probability at least `coverage`.

    Args:
        residuals: (n,) estimated minus true metric of the calibration orders; a non-finite
            residual counts as infinitely wide.
        coverage: wanted probability, in (0, 1).

    Returns:
        The radius (possibly infinite), or None when n is too small for this coverage.

    """
    widths = np.sort(np.abs(worst_if_non_finite(residuals)))
    # The subtrahend keeps (9 + 1) * 0.9 = 9.000000000000002 from asking for a tenth residual.
    rank = math.ceil((len(widths) + 1) * coverage - 1e-9)
    return float(widths[rank - 1]) if 1 <= rank <= len(widths) else None


def interval_ends(value: float, radius: float | None) -> tuple[float | None, float | None]:
    """Return both ends of the interval of a radius about an estimate; None where there is none."""
    if radius is None or not math.isfinite(value):
        return None, None
    return value - radius, value + radius

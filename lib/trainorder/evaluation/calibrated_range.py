"""The range of raw estimates for which the calibration orders show how large the error is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def calibrated_range(calibration: ArrayLike) -> list[float]:
    """Return the range of raw estimates that the calibration orders cover, [low, high].

    The range spans the estimates of the calibration orders, and is widened on both sides by their
    standard deviation: a further random order is then rarely outside.

    Args:
        calibration: (n,) finite raw estimates of the calibration orders, n at least 2.

    """
    estimates = np.asarray(calibration, dtype=np.float64)
    margin = estimates.std(ddof=1)
    return [float(estimates.min() - margin), float(estimates.max() + margin)]


def is_beyond(raw: float, limits: Sequence[float]) -> bool:
    """Return whether a raw estimate is outside the calibrated range; a non-finite one is."""
    return not limits[0] <= raw <= limits[1]

"""The range of estimates that calibration orders speak for."""

from collections.abc import Sequence

import numpy as np

from trainorder.evaluation.outcomes import Floats


def calibrated_range(calibration: Floats, radius: float | None) -> list[float] | None:
    """Return the range that calibration speaks for, [low, high]; None without an interval.

    It is that of the estimates (n,) of the calibration orders, widened by the conformal radius: of
    an estimate outside it, no calibration order tells how wrong it is.
    """
    if radius is None or not np.isfinite(calibration).all():
        return None
    return [float(calibration.min() - radius), float(calibration.max() + radius)]


def is_beyond(value: float, limits: Sequence[float]) -> bool:
    """Whether an estimate is outside the calibrated range; one that is not finite is."""
    return not limits[0] <= value <= limits[1]

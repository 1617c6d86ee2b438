"""Calibrates an estimated map of positions on the cells that were retrained.

An estimator can have the right sign and a wrong scale, or none of both. A unit that stays where it
is has no effect, so the effects of a map are multiplied by one number, the slope of true on
estimated effects. The slope is shrunk by its noise: the map of a useless estimator is 0, which is
"the position has no effect".
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainorder.evaluation.recalibration import shrunk_slope
from trainorder.memorization.maps import Maps
from trainorder.numerics.resampling import Floats, bootstrap_rank_correlation, finite

MIN_CELLS = 4  # with fewer retrained cells, a slope without one of them has no noise to speak of


def map_slope(estimated: Floats, true: Floats) -> float:
    """Return the number that multiplies the effects of a map.

    Args:
        estimated: (n,) effects in the cells that were retrained.
        true: (n,) their true effects.

    Returns:
        The shrunk slope; 1 if there are fewer than `MIN_CELLS` cells or if an estimate is not
        finite.

    """
    if len(true) < MIN_CELLS or not np.isfinite(estimated).all():
        return 1.0
    return shrunk_slope(estimated, true, len(true) - 1)


def agreement(
    estimated: Floats, true: Floats, resamples: int, confidence: float, seed: int
) -> dict[str, float | int | None]:
    """Compare an estimated map with the true one in the cells that were retrained.

    Args:
        estimated: (U, T), not yet multiplied by the slope.
        true: (U, T), NaN in the cells that were not retrained.
        resamples: number of bootstrap resamples of the cells.
        confidence: probability that the interval aims at, in (0, 1).
        seed: seed of the resampling.

    Returns:
        Spearman's correlation with its interval, the `slope`, the mean square error, and the mean
        square error as a share of the mean square of the true effects (1 is as good as no map).
        Each error is that of a cell by the slope of the others.

    """
    retrained = np.isfinite(true)
    x, y = estimated[retrained], true[retrained]
    interval = bootstrap_rank_correlation(x, y, resamples, confidence, seed)
    others = [np.arange(len(y)) != cell for cell in range(len(y))]
    slopes = np.array([map_slope(x[rest], y[rest]) for rest in others])
    mse = float(np.mean((slopes * x - y) ** 2)) if len(y) else None
    size = float(np.mean(y**2)) if len(y) else 0.0
    return {
        **interval._asdict(),
        "slope": map_slope(x, y),
        "mse": mse,
        "relative_mse": finite(mse / size) if mse is not None and size else None,
    }


def calibrated_maps(estimated: Maps, scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Maps:
    """Return the maps (U, T), by quantity and name, multiplied by the slopes of `agreement`."""
    return {
        quantity: {name: values * scores[quantity][name]["slope"] for name, values in maps.items()}
        for quantity, maps in estimated.items()
    }

"""Forgetting curves: how the advantage of having seen a unit fades with the steps since."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainorder.numerics.resampling import percentiles

Floats = NDArray[np.float64]


def advantage(presence: Floats) -> Floats:
    """Return how much having seen a unit lowers the loss on it (U, T), by age.

    Age 0 is the last step. `presence` is the map (U, T) of the loss on the unit, by step.
    """
    return -presence[:, ::-1]


def half_life(curve: Floats) -> float | None:
    """Return the age at which `curve` (T,) first falls to half of what it is at age 0.

    Linearly interpolated between steps. None if the curve does not start above 0 or does not fall
    to half.
    """
    half = curve[0] / 2
    if not curve[0] > 0:
        return None
    below = np.flatnonzero(curve <= half)
    if not len(below):
        return None
    after = int(below[0])
    before, at = curve[after - 1], curve[after]
    return float(after - 1 + (before - half) / (before - at))


def forgetting(
    presence: Floats, unit_domains: Sequence[str], resamples: int, confidence: float, seed: int
) -> dict[str, dict[str, Any]]:
    """Return the forgetting curve of each domain, and of all units, with intervals over units.

    Args:
        presence: (U, T) map of the loss on the units.
        unit_domains: domain of each unit.
        resamples: number of bootstrap resamples of the units of a domain.
        confidence: probability that the intervals aim at, in (0, 1).
        seed: seed of the resampling.

    Returns:
        By domain: `units`, the number of units; `advantage`, `low`, `high` by age, in nats per
        token; and `half_life` in steps with its interval (None if the curve does not fall to half).

    """
    curves, labels = advantage(presence), np.array(unit_domains)
    groups = {"all": np.ones(len(labels), dtype=bool)}
    groups |= {name: labels == name for name in sorted(set(unit_domains))}
    return {
        name: _curve(curves[rows], resamples, confidence, seed) for name, rows in groups.items()
    }


def _curve(curves: Floats, resamples: int, confidence: float, seed: int) -> dict[str, Any]:
    rng, mean = np.random.default_rng(seed), curves.mean(axis=0)
    tail = (1 - confidence) / 2
    drawn = curves[rng.integers(len(curves), size=(resamples, len(curves)))].mean(axis=1)
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    lives = [half_life(row) for row in drawn]
    reached = np.array([life for life in lives if life is not None])
    shortest, longest = percentiles(reached, confidence)
    return {
        "units": len(curves),
        "advantage": mean.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "half_life": {
            "value": half_life(mean),
            "low": shortest,
            "high": longest,
            "reached": len(reached) / resamples,
        },
    }

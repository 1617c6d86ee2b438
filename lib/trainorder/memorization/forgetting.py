"""How the advantage of having been seen fades with the steps since."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainorder.numerics.resampling import percentiles

Floats = NDArray[np.float64]


def advantage(presence: Floats) -> Floats:
    """Return how much lower a unit's own loss is for its having been seen (U, T), by age.

    Age 0 is the last step. `presence` is the map (U, T) of the unit's own loss, by step.
    """
    return -presence[:, ::-1]


def half_life(curve: Floats) -> float | None:
    """Return the age at which `curve` (T,) first falls to half of what it is at age 0.

    Interpolated between steps; None where it starts at nothing, or never falls so far.
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
    """Return the forgetting curve of each domain's units, and of all, with intervals over units.

    Args:
        presence: (U, T) map of the units' own loss.
        unit_domains: U names.
        resamples: bootstrap resamples of a domain's units.
        confidence: of the intervals.
        seed: of the resampling.

    Returns:
        By domain: `units`, their number; `advantage`, `low`, `high` by age, in nats per token; and
        `half_life`, in steps, with its interval (None where the curve does not fall so far).

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

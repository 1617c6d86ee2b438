"""The effect of a poisoned unit by its position: estimated at every step, retrained at three."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trainorder.config.unit_labels import POISONED
from trainorder.memorization.maps import OWN, SAME, Maps
from trainorder.numerics.resampling import finite

MAP = "presence"  # the effect beyond that of a clean unit in the same place


def poisoned_units(unit_domains: Sequence[str]) -> list[int]:
    """Return the poisoned units."""
    return [unit for unit, domain in enumerate(unit_domains) if domain == POISONED]


def poisoned_cells(unit_domains: Sequence[str], steps: int) -> list[list[int]]:
    """Return the cells [unit, step] of the poisoned units: first, in the middle and last."""
    return [
        [unit, step]
        for unit in poisoned_units(unit_domains)
        for step in sorted({0, steps // 2, steps - 1})
    ]


def poisoned_effects(
    estimated: Maps, true: Maps, unit_domains: Sequence[str], steps: int
) -> list[dict[str, Any]]:
    """Return the effects of the poisoned units at the steps where they were retrained.

    Args:
        estimated: the maps of all cells.
        true: the maps of the cells that were retrained.
        unit_domains: domain of each unit.
        steps: T.

    Returns:
        For each cell its `unit` and `step`, and the change of `heldout` and `own` that the unit
        causes there, in nats per token: `estimated`, `true`, and `clean`, the mean estimate of the
        other units at that step.

    """
    clean = [unit for unit, domain in enumerate(unit_domains) if domain != POISONED]

    def effect(quantity: str, unit: int, step: int) -> dict[str, float | None]:
        values = estimated[quantity][MAP]
        return {
            "estimated": finite(values[unit, step]),
            "true": finite(true[quantity][MAP][unit, step]),
            "clean": finite(np.mean(values[clean, step])),
        }

    return [
        {
            "unit": unit,
            "step": step,
            "heldout": effect(SAME, unit, step),  # a poisoned unit belongs to all domains
            "own": effect(OWN, unit, step),
        }
        for unit, step in poisoned_cells(unit_domains, steps)
    ]

"""Kendall distance between schedules."""

import numpy as np


def kendall_distance(schedule: np.ndarray, other: np.ndarray) -> float:
    """Return the share of pairs of units that two schedules put in opposite order.

    Both are `(steps, units_per_step)`. The n-th visit of a unit in one is matched with its n-th
    visit in the other; visits without a match do not count. Units of the same step have no order
    among them, so a pair counts only where both schedules separate it.
    0 is the same order, 1 the reverse (Kendall 1938, without ties).
    """
    mine, theirs = _visits(schedule), _visits(other)
    common = sorted(mine.keys() & theirs.keys())
    a = np.array([mine[visit] for visit in common])
    b = np.array([theirs[visit] for visit in common])
    upper = np.triu_indices(len(common), 1)
    product = np.sign(a[:, None] - a)[upper] * np.sign(b[:, None] - b)[upper]
    separated = np.count_nonzero(product)
    return float(np.count_nonzero(product < 0) / separated) if separated else 0.0


def _visits(schedule: np.ndarray) -> dict[tuple[int, int], int]:
    """Map (unit, n) to the step of the unit's n-th visit."""
    seen: dict[int, int] = {}
    steps: dict[tuple[int, int], int] = {}
    for step, row in enumerate(schedule.tolist()):
        for unit in row:
            seen[unit] = seen.get(unit, -1) + 1
            steps[unit, seen[unit]] = step
    return steps

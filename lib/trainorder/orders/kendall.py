"""Kendall distance between schedules."""

import numpy as np


def kendall_distance(schedule: np.ndarray, other: np.ndarray) -> float:
    """Return the share of pairs of units that two schedules put in opposite order.

    0 means the same order, 1 the reversed order (Kendall 1938, without ties). The n-th visit of a
    unit in one schedule is matched with its n-th visit in the other; unmatched visits do not count.
    Units of one step are not ordered among themselves, so a pair counts only if both schedules
    visit its units at different steps.

    Args:
        schedule: `(steps, units_per_step)` int, unit indices.
        other: int array of the same kind; it may have another shape.

    Examples:
        >>> import numpy as np
        >>> forward = np.array([[0], [1], [2]])
        >>> kendall_distance(forward, forward[::-1])
        1.0

    """
    first, second = _step_of_visit(schedule), _step_of_visit(other)
    common = sorted(first.keys() & second.keys())
    a = np.array([first[visit] for visit in common])
    b = np.array([second[visit] for visit in common])
    upper = np.triu_indices(len(common), 1)
    product = np.sign(a[:, None] - a)[upper] * np.sign(b[:, None] - b)[upper]
    separated = np.count_nonzero(product)
    return float(np.count_nonzero(product < 0) / separated) if separated else 0.0


def _step_of_visit(schedule: np.ndarray) -> dict[tuple[int, int], int]:
    """Map (unit, n) to the step of the unit's n-th visit."""
    last_visit: dict[int, int] = {}
    steps: dict[tuple[int, int], int] = {}
    for step, row in enumerate(schedule.tolist()):
        for unit in row:
            last_visit[unit] = last_visit.get(unit, -1) + 1
            steps[unit, last_visit[unit]] = step
    return steps

"""Position features: when in a schedule each label, and each unit, comes. What `ridge` sees."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DEGREE = 4  # of the polynomials in position: an effect that rises late, and little beyond it


def position_curves(steps: int) -> Floats:
    """Return the smooth functions of position at each step, (T, DEGREE).

    Legendre polynomials of degree j = 1 .. DEGREE on the window, of mean square 1, divided by j:
    a penalty on their weights is then a larger one on what is less smooth.
    """
    middle = (2 * np.arange(steps) + 1) / steps - 1  # of each step, in (-1, 1)
    degree = np.arange(1, DEGREE + 1)
    curves = np.polynomial.legendre.legvander(middle, DEGREE)[:, 1:]
    return np.asarray(curves * np.sqrt(2 * degree + 1) / degree, dtype=np.float64)


def position_features(schedules: Sequence[np.ndarray], labels: Sequence[str]) -> Floats:
    """Return the position features of schedules.

    A unit's features are the sums of the curves over its visits; a label's are those of its units,
    so that a ridge penalty shrinks a unit's effect towards that of its label.

    Args:
        schedules: O schedules (T, k) of unit indices.
        labels: of each of the U units, its domain or `mixed`.

    Returns:
        (O, (labels + U) DEGREE), labels in alphabetical order first.

    """
    names = sorted(set(labels))
    member = np.array([[label == name for label in labels] for name in names], dtype=np.float64)
    rows = []
    for schedule in schedules:
        by_unit = np.zeros((len(labels), DEGREE))
        visits = np.repeat(position_curves(len(schedule)), schedule.shape[1], axis=0)
        np.add.at(by_unit, schedule.ravel(), visits)
        rows.append(np.concatenate([member @ by_unit, by_unit]).ravel())
    return np.stack(rows)

"""Position features: at which steps a schedule visits each label and each unit. For `ridge`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DEGREE = 4  # of the polynomials in position; enough for an effect that rises late


def position_curves(steps: int) -> Floats:
    """Return smooth functions of the position at each step, (T, DEGREE).

    These are Legendre polynomials of degree j = 1 .. DEGREE on the window, with mean square 1,
    divided by j: a ridge penalty is then larger for less smooth functions.
    """
    middle = (2 * np.arange(steps) + 1) / steps - 1  # centre of each step, in (-1, 1)
    degree = np.arange(1, DEGREE + 1)
    curves = np.polynomial.legendre.legvander(middle, DEGREE)[:, 1:]
    return np.asarray(curves * np.sqrt(2 * degree + 1) / degree, dtype=np.float64)


def position_features(schedules: Sequence[np.ndarray], labels: Sequence[str]) -> Floats:
    """Return the position features of schedules.

    The features of a unit are the sums of the position curves over its visits. The features of a
    label are the sums over its units, so that a ridge penalty shrinks the effect of a unit towards
    the effect of its label.

    Args:
        schedules: O schedules (T, k) of unit indices.
        labels: the domain, or `mixed`, of each of the U units.

    Returns:
        (O, (labels + U) * DEGREE) float64; labels come first, in alphabetical sequence.

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

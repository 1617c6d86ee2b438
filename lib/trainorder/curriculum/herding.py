"""Herding: each unit brings the mean gradient so far as near to the mean of all as it can."""

import numpy as np


def herded(deviations: np.ndarray) -> np.ndarray:
    """Return units (U,) in the sequence in which each next one has the shortest partial sum.

    This is herding (Welling 2009) without replacement, as Lu, Guo and De Sa (2022, arXiv
    2205.10733) use it to order examples. The lowest index wins a tie.

    Args:
        deviations: (U, q), gradient of each unit minus their mean.

    """
    total = np.zeros(deviations.shape[1])
    remaining = np.arange(len(deviations))
    visits = []
    while len(remaining):
        place = int(np.linalg.norm(total + deviations[remaining], axis=1).argmin())
        visits.append(remaining[place])
        total = total + deviations[remaining[place]]
        remaining = np.delete(remaining, place)
    return np.array(visits, dtype=np.int64)

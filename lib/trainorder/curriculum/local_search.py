"""Local search: the best of many neighbours, again and again, until none is better."""

import numpy as np

from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.effects import Score

_PATIENCE = 3  # batches without a better neighbour before the search stops


def local_search(
    score: Score,
    start: np.ndarray,
    constraints: Constraints,
    rng: np.random.Generator,
    batch: int,
    rounds: int,
) -> np.ndarray:
    """Return the schedule (T, k) that steepest descent by 2-opt, insertion and swap ends at.

    Args:
        score: objective of schedules, lower is better.
        start: (T, k), where the search begins; it meets the constraints.
        constraints: neighbours that break them are not tried.
        rng: draws the neighbours.
        batch: neighbours scored at a time.
        rounds: batches at most.

    """
    best, value = start, float(score(start[None])[0])
    waited = 0
    for _ in range(rounds):
        tried = neighbours(best, rng, batch)
        tried = tried[constraints.violations(tried) == 0]
        waited += 1
        if len(tried):
            values = score(tried)
            lowest = int(values.argmin())
            if values[lowest] < value:
                best, value, waited = tried[lowest], float(values[lowest]), 0
        if waited == _PATIENCE:
            break
    return best


def neighbours(schedule: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """Return `count` random neighbours (n, T, k): a stretch reversed, a unit moved, or two swapped.

    A reversed stretch is the move of 2-opt (Croes 1958).
    """
    flat = schedule.reshape(-1)
    result = np.tile(flat, (count, 1))
    ends = np.sort(rng.integers(0, len(flat), (count, 2)), axis=1)
    for row, (i, j), kind in zip(result, ends, rng.integers(0, 4, count), strict=True):
        if kind == 0:
            row[i : j + 1] = row[i : j + 1][::-1].copy()
        elif kind == 1:
            row[i : j + 1] = np.roll(row[i : j + 1], 1)
        elif kind == 2:
            row[i : j + 1] = np.roll(row[i : j + 1], -1)
        else:
            row[[i, j]] = row[[j, i]]
    return result.reshape(count, *schedule.shape)

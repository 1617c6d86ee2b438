"""Local search: repeatedly moves to the best of many neighbours, until none is better."""

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
    """Return the schedule (T, k) at the end of steepest descent by 2-opt, insertion and swap.

    Args:
        score: estimates the objective of schedules; lower is better.
        start: (T, k) schedule that the search begins with; it meets the constraints.
        constraints: neighbours that break them are not scored.
        rng: random generator of the neighbours.
        batch: number of neighbours that are scored at once.
        rounds: largest number of batches.

    """
    best, value = start, float(score(start[None])[0])
    waited = 0
    for _ in range(rounds):
        candidates = neighbours(best, rng, batch)
        candidates = candidates[constraints.violations(candidates) == 0]
        waited += 1
        if len(candidates):
            values = score(candidates)
            lowest = int(values.argmin())
            if values[lowest] < value:
                best, value, waited = candidates[lowest], float(values[lowest]), 0
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

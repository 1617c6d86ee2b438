"""Gradient balancing: orders whose partial sums of gradients stay near the mean."""

import numpy as np

PASSES = 10


def discrepancy(deviations: np.ndarray, visits: np.ndarray) -> float:
    """Return the largest norm of a partial sum of `deviations` (U, q) in the sequence `visits`.

    This is the quantity that herding and gradient balancing make small.
    """
    sums = np.cumsum(deviations[visits], axis=0)
    return float(np.linalg.norm(sums, axis=1).max())


def balanced(deviations: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return `start`, or the sequence (U,) after a pass of GraB, with the smallest discrepancy.

    There are `PASSES` passes. A pass gives each vector, in the present sequence, the sign that
    keeps the signed sum small. Then vectors with a plus keep their sequence, and those with a minus
    follow in reverse. If H is the discrepancy before and A the largest norm of a signed partial
    sum, the discrepancy after is at most (H + A) / 2 (Lu, Guo and De Sa 2022, arXiv 2205.10733; the
    gradients are fixed here).

    Args:
        deviations: (U, q), gradient of each unit minus their mean.
        start: (U,) units, the sequence of the first pass.

    """
    best = visits = start
    for _ in range(PASSES):
        visits = balancing_pass(deviations, visits)
        if discrepancy(deviations, visits) < discrepancy(deviations, best):
            best = visits
    return best


def balancing_pass(deviations: np.ndarray, visits: np.ndarray) -> np.ndarray:
    """Return the sequence (U,) after one pass over `visits` (U,); a tie takes the plus."""
    plus = signs(deviations[visits]) > 0
    return np.concatenate([visits[plus], visits[~plus][::-1]])


def signs(vectors: np.ndarray) -> np.ndarray:
    """Return 1 or -1 for each of `vectors` (U, q), so that every signed partial sum is short."""
    result, total = np.ones(len(vectors)), np.zeros(vectors.shape[1])
    for i, vector in enumerate(vectors):
        result[i] = 1 if total @ vector <= 0 else -1
        total = total + result[i] * vector
    return result

"""What standing at a step does to the objective, for each unit alone and for each pair of units.

Both are read from the scores of random schedules, thousands of which the reduced model gives in a
second.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainorder.curriculum.constraints import places

Score = Callable[[np.ndarray], np.ndarray]  # schedules (O, T, k) to objectives (O,)
_RANGES = (0.0625, 0.125, 0.25, 0.5, 1.0)  # of a precedence effect, as shares of the window
_HELD_BACK = 4  # one in so many schedules tells which range predicts best
_RIDGE = 1e-3  # of the features' mean square


def additive_effects(schedules: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return E (U, T): the mean score of the schedules with unit u at step t, less that of all.

    To first order about the barycentre a score is additive in (unit, step); over random schedules
    the other units' effects average out, so that this mean is the effect but for
    T / (T - 1) (units exclude each other), which no assignment depends on.

    Args:
        schedules: (O, T, k), random, each unit once.
        scores: (O,).

    """
    where, steps = places(schedules), schedules.shape[1]
    units = where.shape[1]
    total = np.zeros((units, steps))
    count = np.zeros((units, steps))
    columns = np.broadcast_to(np.arange(units), where.shape)
    np.add.at(total, (columns, where), (scores - scores.mean())[:, None])
    np.add.at(count, (columns, where), 1.0)
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0)


@dataclass(frozen=True)
class PairwiseEffects:
    """score ~ sum_{u, v} W[u, v] K[t_u, t_v], K[s, t] = sign(t - s) exp(-|t - s| / range).

    What it does that u comes some steps before v.

    Attributes:
        weights: W, (U, U), antisymmetric.
        kernel: K, (T, T), antisymmetric.
        explained: share of the variance of held-back schedules' scores that it explains.

    """

    weights: np.ndarray
    kernel: np.ndarray
    explained: float


def pairwise_effects(schedules: np.ndarray, scores: np.ndarray) -> PairwiseEffects:
    """Return the pairwise effects that explain the `scores` (O,) of `schedules` (O, T, k) best.

    A ridge regression for each of a few ranges; the one that predicts held-back schedules best.
    """
    where, steps = places(schedules), schedules.shape[1]
    held = np.arange(len(scores)) % _HELD_BACK == 0
    y = scores - scores[~held].mean()
    pairs = np.triu_indices(where.shape[1], 1)
    best: PairwiseEffects | None = None
    for share in _RANGES:
        kernel = precedence_kernel(steps, share * steps)
        features = kernel[where[:, pairs[0]], where[:, pairs[1]]]
        fitted = _ridge(features[~held], y[~held])
        wrong = np.square(y[held] - features[held] @ fitted).sum()
        explained = 1 - float(wrong / np.square(y[held] - y[held].mean()).sum())
        if best is None or explained > best.explained:
            weights = np.zeros((where.shape[1],) * 2)
            weights[pairs] = fitted / 2
            best = PairwiseEffects(weights - weights.T, kernel, explained)
    if best is None:
        raise ValueError("no range was tried")
    return best


def precedence_kernel(steps: int, scale: float) -> np.ndarray:
    """Return K (T, T) of a range of `scale` steps."""
    apart = np.arange(steps)[None] - np.arange(steps)[:, None]
    kernel: np.ndarray = np.sign(apart) * np.exp(-np.abs(apart) / scale)
    return kernel


def _ridge(features: np.ndarray, y: np.ndarray) -> np.ndarray:
    gram = features.T @ features
    penalty = _RIDGE * np.trace(gram) / len(gram)
    fitted: np.ndarray = np.linalg.solve(gram + penalty * np.eye(len(gram)), features.T @ y)
    return fitted

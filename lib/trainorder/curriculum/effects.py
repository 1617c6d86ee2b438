"""Effects of positions on the objective, for each unit alone and for each pair of units.

Both are estimated from the scores of random schedules. The reduced model scores thousands of them
in a second.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from trainorder.curriculum.constraints import places

Score = Callable[[np.ndarray], np.ndarray]  # schedules (O, T, k) to objectives (O,)
_RANGES = (0.0625, 0.125, 0.25, 0.5, 1.0)  # of a precedence effect, as shares of the window
_HELD_BACK = 4  # one schedule in four is held back to select the range
LEAST_SCHEDULES = _HELD_BACK + 1  # with fewer, the scores of those that are held back do not vary
_RIDGE = 1e-3  # penalty, as a share of the mean square of the features
_BLOCK_NUMBERS = 4_000_000  # features that are in memory at once: 32 MB


def additive_effects(schedules: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the additive effects E (U, T).

    E[u, t] is the mean score of the schedules that have unit u at step t, minus the mean score of
    all schedules. To first order about the barycentre, the score is a sum over units of an effect
    of (unit, step). In random schedules the effects of the other units average out, so this mean is
    the effect times T / (T - 1), because two units cannot have the same place. No assignment
    depends on that factor.

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
    """Effects of the distance between two units: score ~ sum_{u, v} W[u, v] K[t_u, t_v].

    t_u is the step of unit u, and K[s, t] = sign(t - s) exp(-|t - s| / range).

    Attributes:
        weights: W, (U, U), antisymmetric.
        kernel: K, (T, T), antisymmetric.
        explained: share of the variance of the held-back schedules' scores that it explains.

    """

    weights: np.ndarray
    kernel: np.ndarray
    explained: float

    def predict(self, where: np.ndarray) -> np.ndarray:
        """Return the predicted scores (O,) of schedules with their units at the steps (O, U)."""
        return np.array(
            [np.vdot(self.weights, self.kernel[steps[:, None], steps]) for steps in where]
        )


def pairwise_effects(schedules: np.ndarray, scores: np.ndarray) -> PairwiseEffects:
    """Return the pairwise effects that explain the scores best.

    This is a ridge regression on the U (U - 1) / 2 pairs for each of a few ranges. The range that
    predicts the held-back schedules best is selected.

    Args:
        schedules: (O, T, k), random, each unit once; O is at least `LEAST_SCHEDULES`.
        scores: (O,).

    """
    where, steps = places(schedules), schedules.shape[1]
    held_back = np.arange(len(scores)) % _HELD_BACK == 0
    centred = scores - scores[~held_back].mean()
    total = np.square(centred[held_back] - centred[held_back].mean()).sum()
    candidates = []
    for share in _RANGES:
        kernel = precedence_kernel(steps, share * steps)
        weights = ridge_weights(where[~held_back], kernel, centred[~held_back])
        effects = PairwiseEffects(weights, kernel, explained=0.0)
        errors = centred[held_back] - effects.predict(where[held_back])
        explained = 1 - float(np.square(errors).sum() / total)
        candidates.append(PairwiseEffects(weights, kernel, explained))
    return max(candidates, key=lambda effects: effects.explained)


def precedence_kernel(steps: int, scale: float) -> np.ndarray:
    """Return K (T, T) for a range of `scale` steps."""
    apart = np.arange(steps)[None] - np.arange(steps)[:, None]
    kernel: np.ndarray = np.sign(apart) * np.exp(-np.abs(apart) / scale)
    return kernel


def ridge_weights(where: np.ndarray, kernel: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the weights W (U, U) of a ridge regression of scores on pairs of units.

    The features of a schedule are K[t_u, t_v] for the pairs u < v. With more pairs than schedules
    the dual form is solved (kernel ridge regression), whose system has one row for each schedule.

    Args:
        where: (n, U) step of each unit.
        kernel: K, (T, T).
        scores: (n,), centred.

    """
    count, units = where.shape
    pairs = np.triu_indices(units, 1)
    if len(pairs[0]) > count:
        return _dual_weights(where, kernel, scores)
    features = kernel[where[:, pairs[0]], where[:, pairs[1]]]
    weights = np.zeros((units, units))
    weights[pairs] = _solve_ridge(features.T @ features, features.T @ scores, len(pairs[0])) / 2
    return weights - weights.T


def _dual_weights(where: np.ndarray, kernel: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return W = sum_o a_o A_o / 2, where A_o[u, v] = K[t_u, t_v] in schedule o.

    The coefficients a solve (G + penalty) a = scores with the Gram matrix of the features, which is
    G[o, p] = sum_{u, v} A_o[u, v] A_p[u, v] / 2, because each A_o is antisymmetric.
    """
    count, units = where.shape
    gram = np.zeros((count, count))
    for rows in _blocks(units, count * units):
        features = kernel[where[:, rows, None], where[:, None, :]].reshape(count, -1)
        gram += features @ features.T / 2
    coefficients = _solve_ridge(gram, scores, units * (units - 1) // 2)
    weights = np.zeros((units, units))
    for steps, coefficient in zip(where, coefficients, strict=True):
        weights += coefficient / 2 * kernel[steps[:, None], steps]
    return weights


def _blocks(units: int, numbers: int) -> Iterator[slice]:
    """Yield slices of units; `numbers` features belong to each unit."""
    size = max(1, _BLOCK_NUMBERS // numbers)
    for first in range(0, units, size):
        yield slice(first, first + size)


def _solve_ridge(gram: np.ndarray, right: np.ndarray, pairs: int) -> np.ndarray:
    """Solve (gram + penalty I) x = right; the trace is that of both forms of the Gram matrix."""
    penalty = _RIDGE * np.trace(gram) / pairs
    solution: np.ndarray = np.linalg.solve(gram + penalty * np.eye(len(gram)), right)
    return solution

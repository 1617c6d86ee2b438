"""Weights of known points whose combination is near a target point."""

import numpy as np


def combination_weights(gram: np.ndarray, penalty: float) -> np.ndarray:
    """Return the weights of known points P_i whose combination is near a target g.

    They minimize |sum_i w_i P_i - g|^2 + `penalty` sum_i w_i^2 |P_i - g|^2 with sum_i w_i = 1.
    The second term prefers near points, and it bounds the noise that each point adds. With the Gram
    matrix G of the differences P_i - g, the minimum is w ~ (G + penalty diag(G))^-1 1.

    Args:
        gram: (n, n) float64, G.
        penalty: positive.

    Returns:
        (n,) float64; if a point is the target, it has all the weight.

    Examples:
        >>> combination_weights(np.array([[1.0, -1.0], [-1.0, 1.0]]), 0.05).round(3).tolist()
        [0.5, 0.5]
        >>> combination_weights(np.array([[0.0, 0.0], [0.0, 4.0]]), 0.05).tolist()
        [1.0, 0.0]

    """
    distances = gram.diagonal()
    if not distances.min() > 0:
        all_on_it: np.ndarray = np.eye(len(gram))[distances.argmin()]
        return all_on_it
    # Scaled to a unit diagonal, so that points at very different distances lose no digits.
    scale = np.sqrt(distances)
    normalized = gram / np.outer(scale, scale) + penalty * np.eye(len(gram))
    weights = np.linalg.solve(normalized, 1 / scale) / scale
    normed: np.ndarray = weights / weights.sum()
    return normed

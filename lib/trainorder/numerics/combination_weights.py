"""Weights of known points whose combination is near a target point."""

import numpy as np


def combination_weights(
    gram: np.ndarray, penalty: float, usable: np.ndarray | None = None
) -> np.ndarray:
    """Return the weights of known points P_i whose combination is near a target g.

    They minimize |sum_i w_i P_i - g|^2 + `penalty` sum_i w_i^2 |P_i - g|^2 with sum_i w_i = 1.
    The second term prefers near points, and it bounds the noise that each point adds. With the Gram
    matrix G of the differences P_i - g, the minimum is w ~ (G + penalty diag(G))^-1 1.

    Args:
        gram: (..., n, n) float64, G for each of several targets.
        penalty: positive.
        usable: (..., n) bool, which points count, at least one for each target; None for all.

    Returns:
        (..., n) float64; 0 for points that do not count. If a point is the target, it has all the
        weight.

    Examples:
        >>> combination_weights(np.array([[1.0, -1.0], [-1.0, 1.0]]), 0.05).round(3).tolist()
        [0.5, 0.5]
        >>> combination_weights(np.array([[0.0, 0.0], [0.0, 4.0]]), 0.05).tolist()
        [1.0, 0.0]

    """
    squares = gram.diagonal(axis1=-2, axis2=-1)
    counts = np.ones(squares.shape, dtype=bool) if usable is None else usable
    # Scaled to a unit diagonal, so that points at very different distances lose no digits.
    inverse = np.where(counts & (squares > 0), squares, np.inf) ** -0.5
    normalized = gram * inverse[..., :, None] * inverse[..., None, :]
    normalized += penalty * np.eye(squares.shape[-1])
    weights = np.linalg.solve(normalized, inverse[..., None])[..., 0] * inverse
    nearest = np.where(counts, squares, np.inf).argmin(-1)[..., None]
    on_target = ~(np.take_along_axis(squares, nearest, -1) > 0)
    all_on_it = np.arange(squares.shape[-1]) == nearest
    weights = np.where(on_target, all_on_it, weights)
    normed: np.ndarray = weights / weights.sum(-1, keepdims=True)
    return normed

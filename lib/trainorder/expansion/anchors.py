"""Anchors: the steps of a path whose gradients are stored."""

import numpy as np


def even_anchors(steps: int, anchors: int | None) -> np.ndarray:
    """Return `anchors` steps with even spacing, from the first to the last; None means all steps.

    Args:
        steps: number of steps of the window.
        anchors: number of anchors, at most `steps`.

    """
    if anchors is None:
        return np.arange(steps)
    return np.unique(np.linspace(0, steps - 1, anchors).round().astype(int))


class Anchors:
    """Selects the anchors along a path: given steps, or by the error of linear interpolation.

    The interpolation error is largest in the middle. A step therefore becomes an anchor if the
    clusters' gradients half-way to the previous anchor deviate by `tolerance` or more from the
    line between the two. The deviation is relative to the spread of the clusters' gradients.
    """

    def __init__(self, steps: int, given: np.ndarray | None, tolerance: float) -> None:
        """Select among `steps` steps; `given` (K,) lists the anchors if they are fixed."""
        self.steps, self.tolerance = steps, tolerance
        self.given = None if given is None else set(given.tolist())
        self._since: list[np.ndarray] = []  # sketches (C, k) since the last anchor

    def start(self, sketches: np.ndarray) -> None:
        """Start at an anchor, with sketches (C, k) of the clusters' gradients."""
        self._since = [sketches - sketches.mean(axis=0)]

    def take(self, t: int, sketches: np.ndarray) -> bool:
        """Return whether step `t`, with sketches (C, k) of clusters' gradients, is an anchor."""
        self._since.append(sketches - sketches.mean(axis=0))
        if self.given is not None:
            return t in self.given
        return t == self.steps - 1 or self._error() >= self.tolerance

    def _error(self) -> float:
        first, last, n = self._since[0], self._since[-1], len(self._since) - 1
        middle = n // 2
        interpolated = first + (last - first) * (middle / n)
        scale = np.linalg.norm(first)
        return float(np.linalg.norm(self._since[middle] - interpolated) / scale) if scale else 0.0

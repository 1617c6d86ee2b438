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
    line between the two. The steps after the last anchor take its gradients; so the last step
    becomes an anchor only if the gradients have changed by `tolerance` or more since then. Both are
    relative to the spread of the clusters' gradients. A single cluster has no spread: then both
    ends are the anchors.
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
        first, last, n = self._since[0], self._since[-1], len(self._since) - 1
        scale = np.linalg.norm(first)
        if not scale:
            return t == self.steps - 1
        middle = n // 2
        error = self._since[middle] - (first + (last - first) * (middle / n))
        if t == self.steps - 1:
            error = last - first
        return bool(np.linalg.norm(error) >= self.tolerance * scale)

"""Anchors: the steps at which something along the path is tabulated."""

import numpy as np


def even_anchors(steps: int, anchors: int | None) -> np.ndarray:
    """Return the anchors: all steps, or that many spread evenly, first and last included."""
    if anchors is None:
        return np.arange(steps)
    return np.unique(np.linspace(0, steps - 1, anchors).round().astype(int))


class Anchors:
    """Decides which steps are anchors: given steps, or by the error of linear interpolation.

    Interpolation errs most in the middle. So a step becomes an anchor if the gradients half-way to
    the last anchor deviate by `tolerance` or more from the straight line between the two. The
    deviation is relative to the spread of the clusters' gradients.
    """

    def __init__(self, steps: int, given: np.ndarray | None, tolerance: float) -> None:
        """Decide for a window of `steps`; `given` (K,) fixes the anchors."""
        self.steps, self.tolerance = steps, tolerance
        self.given = None if given is None else set(given.tolist())
        self._since: list[np.ndarray] = []  # sketches (C, k) since the last anchor

    def start(self, sketches: np.ndarray) -> None:
        """Begin at an anchor, with the clusters' gradients `sketches` (C, k)."""
        self._since = [sketches - sketches.mean(axis=0)]

    def take(self, t: int, sketches: np.ndarray) -> bool:
        """Return whether step `t`, with the clusters' gradients `sketches` (C, k), is an anchor."""
        self._since.append(sketches - sketches.mean(axis=0))
        if self.given is not None:
            return t in self.given
        return t == self.steps - 1 or self._error() >= self.tolerance

    def _error(self) -> float:
        first, last, n = self._since[0], self._since[-1], len(self._since) - 1
        middle = n // 2
        straight = first + (last - first) * (middle / n)
        scale = np.linalg.norm(first)
        return float(np.linalg.norm(self._since[middle] - straight) / scale) if scale else 0.0

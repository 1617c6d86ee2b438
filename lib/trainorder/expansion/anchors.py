"""Anchors: the steps of a path with a row in the gradient table.

At a measured anchor the gradient of every unit is computed. At another anchor it is derived from
the measured ones and from the pools, see `expansion.anchor_files`.
"""

from dataclasses import dataclass, field

import numpy as np

from trainorder.expansion.gradient_moments import Moments
from trainorder.expansion.pools import Pools


@dataclass
class PathAnchors:
    """The anchors of a path, in ascending order.

    Attributes:
        steps: the steps with a row in the table.
        measured: those of them at which the gradient of every unit was computed.

    """

    steps: list[int] = field(default_factory=list)
    measured: list[int] = field(default_factory=list)

    def add(self, t: int, measured: bool) -> None:
        """Add step `t`."""
        self.steps.append(t)
        if measured:
            self.measured.append(t)


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
        self._line: _Line | None = None  # since the last anchor

    def take(self, t: int, sketches: np.ndarray) -> bool:
        """Return whether step `t`, with sketches (C, k) of clusters' gradients, is an anchor.

        The steps are taken in turn; the first one is an anchor.
        """
        deviations = sketches - sketches.mean(axis=0)
        chosen = self._line is None or self._is_anchor(self._line, t, deviations)
        if chosen:
            self._line = _Line(deviations)
        return chosen

    def _is_anchor(self, line: "_Line", t: int, deviations: np.ndarray) -> bool:
        line.add(deviations)
        if self.given is not None:
            return t in self.given
        scale = np.linalg.norm(line.first)
        if not scale:
            return t == self.steps - 1
        error = line.change if t == self.steps - 1 else line.error
        return bool(np.linalg.norm(error) >= self.tolerance * scale)


class MeasuredAnchors:
    """Selects the anchors that are measured, by the error of what is derived at the others.

    A derived gradient has the pools' gradient of its cluster and an interpolated deviation from it.
    The parts of the pools tell how deviations move: half-way since the last measured anchor, those
    of the parts are compared with the straight line. Their mean square, scaled from a part to the S
    sequences of a unit, is relative to the spread of the units' gradients. If the anchors are
    given, or if a pool has no parts to compare, all are measured.
    """

    def __init__(self, pools: Pools, anchors: Anchors) -> None:
        """Compare the parts of `pools` with the tolerance of `anchors`."""
        self._pools, self._tolerance = pools, anchors.tolerance
        self._all = anchors.given is not None or not pools.tell_variances
        self._weights = pools.clusters.shares @ pools.variances.numpy() / pools.sequences
        self._line: _Line | None = None  # since the last measured anchor
        self._spread = 0.0

    def is_next(self, sketches: np.ndarray) -> bool:
        """Return whether the step is to be measured if it is an anchor.

        The steps are given in turn, with sketches (N, k) of the gradients of the parts.
        """
        means = self._pools.sketch_means(sketches)
        deviations = sketches - means[self._pools.cluster.numpy()]
        if self._line is None:
            self._line = _Line(deviations)
            return True
        self._line.add(deviations)
        square = float(self._weights @ (self._line.error**2).sum(axis=1))
        return self._all or square**0.5 >= self._tolerance * self._spread

    def start(self, moments: Moments) -> None:
        """Start at the last step, which was measured, with the `moments` of the units there."""
        assert self._line is not None
        self._line = _Line(self._line.last)
        self._spread = float(moments.variance.sum()) ** 0.5


class _Line:
    """Values at the steps since an anchor, and the straight line from there to the last of them."""

    def __init__(self, first: np.ndarray) -> None:
        self._values = [first]

    @property
    def first(self) -> np.ndarray:
        return self._values[0]

    @property
    def last(self) -> np.ndarray:
        return self._values[-1]

    @property
    def change(self) -> np.ndarray:
        change: np.ndarray = self.last - self.first
        return change

    @property
    def error(self) -> np.ndarray:
        """Distance of the value half-way from the line."""
        n = len(self._values) - 1
        middle = n // 2
        error: np.ndarray = self._values[middle] - self.first - self.change * (middle / max(1, n))
        return error

    def add(self, values: np.ndarray) -> None:
        self._values.append(values)

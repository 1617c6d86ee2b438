"""What grows while the curvature is probed: that whose measured error is the largest."""

import math
from dataclasses import dataclass

from trainorder.config.sections.curvature import MIN_RANK
from trainorder.curvature.probe_rounds import ProbeRounds

RANK, POOL, ANCHORS = "rank", "pool", "anchors"
CHECKED = 2  # displacements of the check schedule from which the errors are estimated
LEAST_GROWTH = 0.25  # a smaller growth would hardly change the errors
MORE_ANCHORS = 3  # times as many, so that the probed steps stay among the new ones


@dataclass(frozen=True)
class ProbedSize:
    """How much was probed.

    Attributes:
        rank: the number of probes.
        pool: sequences of the largest pool of a cluster.
        pooled: sequences of all pools.
        anchors: steps of the path at which the curvature is probed.
        differentiated: sequences of pools that were differentiated so far.

    """

    rank: int
    pool: int
    pooled: int
    anchors: int
    differentiated: int

    @property
    def doubling(self) -> int:
        """The sequences that a check and twice the probes, or twice the pools, differentiate."""
        return (CHECKED + self.anchors * (1 + self.rank)) * self.pooled


@dataclass(frozen=True)
class ProbeGrowth:
    """What may grow beside the rank, and the budget of all.

    Attributes:
        budget: sequences of pools that probing may differentiate in all.
        pool: whether pools may grow.
        anchors: whether the number of probed steps may grow.

    """

    budget: float
    pool: bool
    anchors: bool

    @property
    def is_fixed(self) -> bool:
        """Whether only the rank grows."""
        return not (self.pool or self.anchors)

    def left(self, size: ProbedSize) -> float:
        """Return how many more sequences may be differentiated."""
        return self.budget - size.differentiated

    def rounds(self, size: ProbedSize, check: int) -> ProbeRounds:
        """Return rounds up to the largest rank that is left, if nothing else grows.

        The largest rank is the present one if it would hardly grow.

        Args:
            size: what was probed so far.
            check: sequences that the next estimate of the errors differentiates.

        """
        further = (self.left(size) - check) // (size.anchors * size.pooled)
        most = size.rank + (int(further) if further >= LEAST_GROWTH * size.rank else 0)
        return ProbeRounds(max(MIN_RANK, most), grows=True)

    def larger_pool(self, size: ProbedSize, clusters: int) -> int | None:
        """Return the size of the next pools, at most doubled; None if too little is left.

        Args:
            size: what was probed so far.
            clusters: number of clusters that have further sequences.

        """
        if not self.pool or not clusters:
            return None
        each = size.anchors * (1 + size.rank) * clusters
        further = min(size.pool, int(self.left(size) // each)) // 2 * 2  # two equal halves
        return size.pool + further if further >= LEAST_GROWTH * size.pool else None

    def more_anchors(self, size: ProbedSize, steps: int) -> int | None:
        """Return the next number of probed steps; None if too little is left, or too few steps."""
        if not self.anchors:
            return None
        anchors = MORE_ANCHORS * size.anchors
        cost = (anchors - size.anchors) * (1 + size.rank) * size.pooled
        return anchors if anchors <= steps and cost <= self.left(size) else None


FIXED = ProbeGrowth(math.inf, pool=False, anchors=False)

"""Mean and variance over units of the units' gradients, exact or estimated from pools."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainorder.expansion.pools import Pools
from trainorder.numerics import large_tensors
from trainorder.numerics.rows import Rows, blocks


@dataclass
class Moments:
    """Mean and variance over units of the units' gradients.

    Attributes:
        mean: (P,) float64.
        variance: (P,) float64.

    """

    mean: Tensor
    variance: Tensor

    @classmethod
    def empty(cls, size: int) -> "Moments":
        """Return moments of 0, to be filled."""
        mean, variance = large_tensors.zeros(2, size, dtype=torch.float64)
        return cls(mean, variance)


def exact_moments(gradients: Iterable[Tensor]) -> Moments:
    """Return the moments of the units' `gradients`, U of (P,), summed in float64."""
    rows = iter(gradients)
    row, units = next(rows, None), 0
    moments = Moments.empty(0 if row is None else len(row))
    while row is not None:
        for block, mean, square in blocks(row, moments.mean, moments.variance):
            g = block.double()
            mean += g
            square += g**2
        row, units = next(rows, None), units + 1
    for mean, square in blocks(moments.mean, moments.variance):
        mean /= units
        square.div_(units).sub_(mean**2).clamp_(min=0)
    return moments


def pooled_moments(pools: Pools, gradients: Rows) -> Moments:
    """Return the moments estimated from the `gradients` (N, P) of the parts of the pools.

    A unit's gradient is that of its cluster plus the mean noise of its S sequences, so that
    Var_u = Var of the cluster means over units + E[sigma_c^2 / S (1 - 1/m_c)] for m_c units in the
    cluster. sigma_c^2, the variance of one sequence, is read from the spread of the parts of a
    pool; the noise that it leaves in the cluster means is taken off their variance: sigma_c^2 / n
    (1 - n / (m_c S)), for a pool of n is drawn without replacement.
    """
    clusters = pools.clusters
    share = torch.from_numpy(clusters.shares)[:, None]
    members = torch.from_numpy(np.bincount(clusters.labels))[:, None]
    sizes = torch.tensor([len(pool) for pool in clusters.pools])[:, None]
    left_out = torch.from_numpy(clusters.missing_shares(pools.sequences))[:, None]
    moments = Moments.empty(gradients.size)
    for mean, variance, parts in blocks(
        moments.mean, moments.variance, gradients, at_once=4 * len(gradients)
    ):
        parts = parts.double()
        groups = pools.averages @ parts
        noise = pools.variances @ (parts - groups[pools.cluster]) ** 2
        mean.copy_((share * groups).sum(0))
        between = (share * (groups - mean) ** 2).sum(0)
        between -= (share * (1 - share) * noise / sizes * left_out).sum(0)
        within = (share * noise * (1 - 1 / members)).sum(0) / pools.sequences
        variance.copy_(between.clamp_(min=0) + within)
    return moments


class CentredMoments:
    """Moments between anchors: exact at the last anchor, plus the change that the pools show.

    The noise of the pools cancels in the difference (variance reduction, Johnson and Zhang 2013),
    so that the path does not follow the noise of its own sample.
    """

    def __init__(self, exact: Moments, pooled: Moments) -> None:
        """Start at an anchor with `exact` moments; `pooled` are those of the pools there."""
        self.exact, self.anchor = exact, pooled

    def at(self, now: Moments) -> Moments:
        """Return the moments where those of the pools are `now`; `now` is overwritten."""
        exact, anchor = self.exact, self.anchor
        for mean, exact_mean, anchor_mean in blocks(now.mean, exact.mean, anchor.mean):
            mean += exact_mean - anchor_mean
        for now_variance, known, before in blocks(now.variance, exact.variance, anchor.variance):
            variance = known + now_variance - before
            # where the pools give a negative variance, keep the variance of the anchor
            now_variance.copy_(torch.where(variance > 0, variance, known))
        return now

"""Mean and variance over units of the units' gradients, exact or estimated from pools."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainorder.expansion.clusters import Clusters
from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import gradient
from trainorder.numerics.rows import Rows, blocks
from trainorder.training.problem import Problem

_PARTS = 4  # of a pool: their spread tells the variance of one sequence


@dataclass
class Moments:
    """Mean and variance over units of the units' gradients.

    Attributes:
        mean: (P,) float64.
        variance: (P,) float64.
        groups: (C, P), the mean gradient of each cluster; C is 0 if the moments are exact.

    """

    mean: Tensor
    variance: Tensor
    groups: Rows

    @classmethod
    def empty(cls, clusters: int, size: int, dtype: torch.dtype) -> "Moments":
        """Return moments of 0, to be filled; the groups are of `dtype`."""
        mean, variance = large_tensors.zeros(2, size, dtype=torch.float64)
        return cls(mean, variance, Rows.empty(clusters, size, dtype=dtype))


def exact_moments(gradients: Iterable[Tensor]) -> Moments:
    """Return the moments of the units' `gradients`, U of (P,), summed in float64."""
    rows = iter(gradients)
    row, units = next(rows, None), 0
    moments = Moments.empty(0, 0 if row is None else len(row), torch.float64)
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


def pooled_moments(problem: Problem, clusters: Clusters, theta: Tensor) -> Moments:
    """Return the moments at `theta` (P,) estimated from the pools of the clusters.

    A unit's gradient is that of its cluster plus the mean noise of its S sequences, so that
    Var_u = Var of the cluster means over units + E[sigma_c^2 / S (1 - 1/m_c)] for m_c units in the
    cluster. sigma_c^2, the variance of one sequence, is read from the spread of the parts of a
    pool; the noise that it leaves in the cluster means is taken off their variance: sigma_c^2 / n
    (1 - n / (m_c S)), for a pool of n is drawn without replacement.
    """
    pools = [np.array_split(pool, min(_PARTS, len(pool))) for pool in clusters.pools]
    rows = [_part_gradients(problem, theta, parts) for parts in pools]
    counts = [[float(len(part)) for part in parts] for parts in pools]
    moments = Moments.empty(clusters.count, problem.size, theta.dtype)
    targets = (moments.mean, moments.variance, moments.groups)
    for mean, variance, groups, *block in blocks(*targets, *rows, at_once=2 * sum(map(len, rows))):
        doubled = [part.double() for part in block]
        pooled = _pooled(clusters, problem.sequences, counts, doubled)
        for target, values in zip((mean, variance, groups), pooled, strict=True):
            target.copy_(values)
    return moments


def _part_gradients(problem: Problem, theta: Tensor, parts: Sequence[np.ndarray]) -> Rows:
    """Return the gradients (n, P) of the parts of a pool."""
    rows = (gradient(partial(problem.sample_loss, rows=part), theta) for part in parts)
    return Rows.stack(rows, len(parts), problem.size, theta.dtype)


def _pooled(
    clusters: Clusters, sequences: int, counts: Sequence[Sequence[float]], parts: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance (b,), and the clusters' means (C, b), of a block.

    `parts` are the gradients (n, b) of the parts of each pool, with `counts` sequences each.
    """
    means, noises, sizes = [], [], []
    for rows, sizes_of_parts in zip(parts, counts, strict=True):
        weight = torch.tensor(sizes_of_parts, dtype=torch.float64)[:, None]
        mean = (weight * rows).sum(0) / weight.sum()
        means.append(mean)
        noises.append((weight * (rows - mean) ** 2).sum(0) / max(1, len(rows) - 1))
        sizes.append(weight.sum())
    groups, noise = torch.stack(means), torch.stack(noises)
    share = torch.from_numpy(clusters.shares)[:, None]
    members = torch.from_numpy(np.bincount(clusters.labels))[:, None]
    left_out = torch.from_numpy(clusters.missing_shares(sequences))[:, None]
    left = noise / torch.stack(sizes)[:, None] * left_out
    mean = (share * groups).sum(0)
    between = (share * (groups - mean) ** 2).sum(0) - (share * (1 - share) * left).sum(0)
    within = (share * noise * (1 - 1 / members)).sum(0) / sequences
    return mean, between.clamp(min=0) + within, groups


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

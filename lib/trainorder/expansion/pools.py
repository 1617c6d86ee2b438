"""The pools of the clusters, in parts: the spread of the parts tells the noise of one sequence."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainorder.expansion.clusters import Clusters
from trainorder.numerics.derivatives import gradient
from trainorder.numerics.rows import Rows, blocks
from trainorder.training.problem import Problem

PARTS = 4  # of a pool


class Pools:
    """The pools of C clusters of units with S sequences, in N parts of about the same size.

    Attributes:
        clusters: the clusters.
        sequences: S.
        cluster: (N,) int64, the cluster of each part.
        averages: (C, N) float64, gives the mean over the sequences of each pool.
        variances: (C, N) float64, gives the variance of one sequence of each cluster from the
            squared deviations of the parts from the mean of their pool; a pool of one part gives 0.

    """

    def __init__(self, clusters: Clusters, sequences: int) -> None:
        """Split the pools of `clusters`, whose units have `sequences` sequences."""
        self.clusters, self.sequences = clusters, sequences
        split = [np.array_split(pool, min(PARTS, len(pool))) for pool in clusters.pools]
        self._parts = [part for parts in split for part in parts]
        self.cluster = torch.arange(clusters.count).repeat_interleave(
            torch.tensor([len(parts) for parts in split])
        )
        member = torch.nn.functional.one_hot(self.cluster, clusters.count).double().T
        counts = member * torch.tensor([len(part) for part in self._parts], dtype=torch.float64)
        self.averages = counts / counts.sum(1, keepdim=True)
        self.variances = counts / (member.sum(1, keepdim=True) - 1).clamp(min=1)

    @property
    def tell_variances(self) -> bool:
        """Whether each pool has two parts or more, so that they have a spread."""
        return int(torch.bincount(self.cluster).min()) > 1

    def gradients(self, problem: Problem, theta: Tensor) -> Rows:
        """Return the gradients (N, P) of the parts at `theta` (P,)."""
        rows = (gradient(partial(problem.sample_loss, rows=part), theta) for part in self._parts)
        return Rows.stack(rows, len(self._parts), problem.size, theta.dtype)

    def means(self, gradients: Rows) -> Rows:
        """Return the mean gradients (C, P) of the clusters from those of the parts (N, P)."""
        means = Rows.empty(self.clusters.count, gradients.size, dtype=gradients.dtype)
        for mean, block in blocks(means, gradients):
            mean.copy_(self.averages @ block.double())
        return means

    def sketch_means(self, sketches: np.ndarray) -> np.ndarray:
        """Return the sketches (C, k) of the mean gradients from those of the parts, (N, k)."""
        means: np.ndarray = self.averages.numpy() @ sketches
        return means

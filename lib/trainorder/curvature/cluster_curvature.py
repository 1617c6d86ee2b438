"""Low-rank curvature: the Hessians of clusters of units along probe directions.

`H_c d = Y_c z` with the responses Y_c = H_c U of the clusters c to probes U, and the coordinates
z = (U' H U)^+ (H U)' d taken in the metric of the mean curvature H. An orthogonal projection onto U
would leave the stiff directions that it drops undamped. See `docs/method`, "Curvature of clusters".
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from trainorder.expansion.clusters import Clusters
from trainorder.expansion.replay import Block
from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import gradient
from trainorder.numerics.gram import pseudo_inverse
from trainorder.numerics.interpolation import bracket, interpolated
from trainorder.numerics.rows import Rows
from trainorder.numerics.shrinkage import split_noise, weights
from trainorder.training.optimizer import ALL
from trainorder.training.problem import Problem


class Responses:
    """H_c d of every cluster c by finite differences: [g_c(theta + e d) - g_c(theta)] / e.

    The one-sided difference costs one gradient. The step |e d| is as long as real displacements, so
    that the result is the mean curvature over that distance. Each pool of sequences is split into
    two halves; their difference gives the sampling noise.
    """

    def __init__(self, problem: Problem, clusters: Clusters, theta: Tensor, length: float) -> None:
        """Evaluate the gradients at `theta` (P,); `length` is |e d|."""
        self.problem, self.clusters = problem, clusters
        self.length = length
        self._pools = clusters.halves()
        self._theta = large_tensors.copy(theta)
        self._base = large_tensors.empty(2, clusters.count, problem.size, dtype=theta.dtype)
        for c in range(clusters.count):
            self._halves(c, theta, self._base[:, c])

    def _halves(self, cluster: int, theta: Tensor, result: Tensor) -> None:
        """Write the gradients of both halves of a pool at `theta` to `result` (2, P)."""
        for half, rows in enumerate(self._pools[cluster]):
            if len(rows):
                result[half] = gradient(partial(self.problem.sample_loss, rows=rows), theta)
                self.problem.meter.add("sequences", len(rows))
            else:  # a pool of one sequence has one half, and its noise is unknown
                result[half] = result[0]
            large_tensors.release_pages()

    def __call__(self, directions: Tensor) -> Tensor:
        """Return the responses (2, C, n, P) of both halves to `directions` (n, P)."""
        shape = (2, self.clusters.count, *directions.shape)
        result = large_tensors.empty(*shape, dtype=directions.dtype)
        for i, direction in enumerate(tqdm(directions, desc="responses", mininterval=2)):
            step = self.length / (
                float(direction.norm()) or 1.0
            )  # a zero direction has a zero response
            theta = torch.add(self._theta, direction, alpha=step)
            for c in range(self.clusters.count):
                self._halves(c, theta, result[:, c, i])
                result[:, c, i].sub_(self._base[:, c]).div_(step)
                large_tensors.release_pages()
        return result


class ClusterCurvature:
    """The model H_c d = [Y + w_c (Y_c - Y)] z of every cluster's curvature at one step.

    z are the coordinates of d in the probes. Each cluster's response Y_c is shrunk towards the mean
    response Y according to the noise of its pool. A pool of all sequences has no noise.

    Attributes:
        probes: U, (r, P).
        responses: Y_c, C of (r, P), as measured.
        mean: Y, (r, P), the responses of the mean curvature.
        shares: (C,) weights of the clusters in the mean.
        factors: w_c, (C,), in [0, 1]; 1 keeps the cluster's own response.
        inverse: (U' H U)^+, (r, r).

    """

    def __init__(self, problem: Problem, clusters: Clusters) -> None:
        """Start without probes."""
        self.shares = torch.from_numpy(clusters.shares)
        self.probes = Rows.empty(0, problem.size)
        self.responses = [Rows.empty(0, problem.size)] * clusters.count
        self._missing_shares = torch.from_numpy(clusters.missing_shares(problem.sequences))
        self._noise = torch.zeros(clusters.count, dtype=torch.float64)
        self._total = torch.zeros(clusters.count, dtype=torch.float64)

    @property
    def rank(self) -> int:
        """r, the number of probes."""
        return len(self.probes)

    def add(self, probes: Tensor, halves: Tensor) -> None:
        """Add `probes` (n, P) with the responses of both halves of the pools, (2, C, n, P).

        `halves[0]` is overwritten by the mean of both halves.
        """
        self.probes = Rows.concatenate([self.probes, Rows(probes)])
        self._count_noise(halves)
        for columns in large_tensors.column_blocks(halves.shape[:3].numel(), halves.shape[3]):
            halves[0, ..., columns] = halves[..., columns].mean(0)
        self.responses = [
            Rows.concatenate([known, Rows(new)])
            for known, new in zip(self.responses, halves[0], strict=True)
        ]
        self.factors = weights(self._noise, self._total, self.shares)
        shares = self.shares.to(halves.dtype)
        self.mean = Rows.from_blocks(
            self.rank,
            lambda *own: torch.einsum("c,crp->rp", shares, torch.stack(own)),
            *self.responses,
        )
        self.inverse = pseudo_inverse(self.probes.gram(self.mean))

    def _count_noise(self, halves: Tensor) -> None:
        """Add up the noise and the distance from the mean; every probe has the same weight."""
        noise, total, scale = (
            torch.zeros(halves.shape[1:3], dtype=torch.float64) for _ in range(3)
        )
        for columns in large_tensors.column_blocks(halves.shape[:3].numel(), halves.shape[3]):
            first, second = halves[..., columns]
            own = (first + second) / 2
            common = torch.einsum("c,cnp->np", self.shares.to(own.dtype), own)
            noise += split_noise(first, second)
            total += ((own - common) ** 2).sum(-1)
            scale += own.square().sum(-1)
        self._noise += self._missing_shares * (noise / scale.sum(0)).sum(1)
        self._total += (total / scale.sum(0)).sum(1)

    def coordinates(self, displacements: Tensor) -> Tensor:
        """Return z (n, r) of `displacements` (n, P)."""
        return Rows(displacements).gram(self.mean) @ self.inverse

    def remainder(self, displacements: Tensor) -> Tensor:
        """Return d - U' z (n, P), what the probes do not reach of `displacements` (n, P)."""
        z = self.coordinates(displacements)
        result = Rows(displacements).copy()
        return result.map_blocks(lambda d, probes: d - z @ probes, self.probes).tensor

    def shrunk(self, cluster: int, columns: slice = ALL) -> Tensor:
        """Return Y + w_c (Y_c - Y), (r, P), or a block of it."""
        own = self.responses[cluster].tensor[:, columns]
        return torch.lerp(self.mean.tensor[:, columns], own, float(self.factors[cluster]))

    def apply(self, displacements: Tensor, clusters: Tensor) -> Block:
        """Return H_c d (n, P) of `displacements` (n, P); row i uses the cluster `clusters[i]`."""
        z = self.coordinates(displacements)

        def block(columns: slice) -> Tensor:
            result = z @ self.mean.tensor[:, columns]
            for c in set(clusters.tolist()):
                rows = torch.nonzero(clusters == c)[:, 0]
                own = z[rows] @ self.responses[c].tensor[:, columns] - result[rows]
                result.index_add_(0, rows, own, alpha=float(self.factors[c]))
            return result

        return block

    def apply_mean(self, displacements: Tensor) -> Block:
        """Return H d (n, P) with the mean curvature H."""
        z = self.coordinates(displacements)
        return lambda columns: z @ self.mean.tensor[:, columns]


@dataclass
class CurvatureAlongPath:
    """The curvature of the clusters at a few steps of the path, with the same probes at each.

    Attributes:
        steps: (A,) the steps, increasing.
        at: the curvature at each.

    """

    steps: np.ndarray
    at: list[ClusterCurvature]

    @property
    def rank(self) -> int:
        """r, the number of probes."""
        return self.middle.rank

    @property
    def middle(self) -> ClusterCurvature:
        """The curvature at the probed step nearest to the middle of the window."""
        return self.at[len(self.at) // 2]

    def apply(self, t: int, displacements: Tensor, clusters: Tensor) -> Block:
        """Return H_c d at step `t`, interpolated; see `ClusterCurvature.apply`."""
        low, high, _ = bracket(self.steps, t)
        at = {place: self.at[place].apply(displacements, clusters) for place in {low, high}}
        return lambda columns: interpolated(self.steps, t, lambda place: at[place](columns))

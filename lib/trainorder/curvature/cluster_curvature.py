"""Low-rank curvature: the Hessians of clusters of units along probe directions.

`H_c d = Y_c z` with the responses Y_c = H_c U of the clusters c to probes U. The coordinates
z = (U' H U)^+ (H U)' d are taken in the metric of the mean curvature H: an orthogonal projection
onto U would not damp the stiff directions outside of U. See `docs/method`, "Curvature of clusters".
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
from trainorder.numerics.rows import Rows, blocks
from trainorder.numerics.shrinkage import split_noise, weights
from trainorder.training.optimizer import ALL
from trainorder.training.problem import Problem


class Responses:
    """H_c d of every cluster c by finite differences: [g_c(theta + e d) - g_c(theta)] / e.

    The one-sided difference costs one gradient. The step |e d| is as long as a typical displacement
    in a replay, so that the result is the mean curvature over that distance. Each pool of sequences
    is split into two halves; their difference gives the sampling noise.
    """

    def __init__(self, problem: Problem, clusters: Clusters, theta: Tensor, length: float) -> None:
        """Evaluate the gradients at `theta` (P,); `length` is |e d|."""
        self.problem = problem
        self.length = length
        self._pools = clusters.halves()
        self._theta = large_tensors.copy(theta)
        base = Rows.empty(2 * clusters.count, problem.size, dtype=theta.dtype)
        self._base = self._write_gradients(theta, base)

    def _write_gradients(self, theta: Tensor, result: Rows) -> Rows:
        """Write the gradients at `theta` to `result` (2 C, P): all first halves, then the second.

        A pool of one sequence has only one half. Its gradient is written twice, because the noise
        is unknown. An empty pool has the gradient 0.
        """
        for c, pool in enumerate(self._pools):
            for half, sequences in enumerate(pool):
                row = half * len(self._pools) + c
                if len(sequences):
                    loss = partial(self.problem.sample_loss, rows=sequences)
                    result[row] = gradient(loss, theta)
                else:
                    result[row] = result[c] if half else torch.zeros_like(theta)
        return result

    def widen(self, more: "Responses") -> None:
        """Take the sequences of `more` into the pools; both are at the same parameters."""
        own, added = (
            torch.tensor([len(pool[half]) for half in range(2) for pool in each._pools])
            for each in (self, more)
        )
        weight = added.double() / (own + added).clamp(min=1)
        weight = weight.to(self._base.dtype)[:, None]
        self._base.map_blocks(lambda known, new: torch.lerp(known, new, weight), more._base)
        self._pools = [
            (np.concatenate([known[0], new[0]]), np.concatenate([known[1], new[1]]))
            for known, new in zip(self._pools, more._pools, strict=True)
        ]

    @property
    def sequences(self) -> int:
        """The number of sequences in all pools."""
        return sum(len(half) for pool in self._pools for half in pool)

    def __call__(self, directions: Rows) -> Rows:
        """Return the responses (2 C n, P) to `directions` (n, P).

        Row (h C + c) n + i is the response of half h of the pool of cluster c to direction i.
        """
        n = len(directions)
        responses = Rows.empty(len(self._base) * n, directions.size, dtype=directions.dtype)
        for i, direction in enumerate(tqdm(directions, desc="responses", mininterval=2)):
            norm = float(direction.norm())
            step = self.length / (norm or 1.0)  # a zero direction has a zero response
            moved = torch.add(self._theta, direction, alpha=step)
            gradients = self._write_gradients(moved, responses[i::n])
            for block, base in blocks(gradients, self._base):
                block.sub_(base).div_(step)
        return responses


class ClusterCurvature:
    """The model H_c d = [Y + w_c (Y_c - Y)] z of every cluster's curvature at one step.

    z are the coordinates of d in the probes. The response Y_c of each cluster is shrunk towards the
    mean response Y according to the noise of its pool. A pool of all sequences has no noise.

    Attributes:
        probes: U, (r, P).
        responses: Y_c, C of (r, P), before shrinkage.
        mean: Y, (r, P), the responses of the mean curvature.
        shares: (C,) weights of the clusters in the mean.
        factors: w_c, (C,), in [0, 1]; 1 keeps the cluster's own response.
        missing_shares: (C,), the share of each cluster's sequences that its pool lacks.
        inverse: (U' H U)^+, (r, r).

    """

    def __init__(self, problem: Problem, clusters: Clusters) -> None:
        """Start without probes."""
        self.shares = torch.from_numpy(clusters.shares)
        self.probes = Rows.empty(0, problem.size)
        self.responses = [Rows.empty(0, problem.size)] * clusters.count
        self._sequences = problem.sequences
        self._take_pools(clusters)
        self._noise = torch.zeros(clusters.count, 0, dtype=torch.float64)

    @property
    def rank(self) -> int:
        """r, the number of probes."""
        return len(self.probes)

    def shrunk_noise(self, noise: Tensor) -> float:
        """Return the expected squared noise of shrunk responses, summed over the clusters.

        Args:
            noise: (C,) squared errors of the clusters' own responses to some displacements, as if
                pools were drawn with replacement; see `split_noise`.

        """
        noise, own = self.missing_shares * noise, self.factors
        common = (self.shares.square() * noise).sum()
        both = 2 * own * (1 - own) * self.shares * noise
        return float((own.square() * noise + both + (1 - own).square() * common).sum())

    def _take_pools(self, clusters: Clusters) -> None:
        self._pool_sizes = torch.tensor([len(pool) for pool in clusters.pools])
        self.missing_shares = torch.from_numpy(clusters.missing_shares(self._sequences))

    def add(self, probes: Rows, responses: Rows) -> None:
        """Add `probes` (n, P) with their `responses` (2 C n, P), which are overwritten.

        The responses are those of both halves of the pools, as `Responses` returns them.
        """
        self.probes = Rows.concatenate([self.probes, probes])
        noise, own = self._joined(responses)
        self._noise = torch.cat([self._noise, noise], 1)
        self.responses = [
            Rows.concatenate([known, new]) for known, new in zip(self.responses, own, strict=True)
        ]
        self._combine()

    def widen(self, clusters: Clusters, responses: Rows) -> None:
        """Take more sequences into the pools, with their responses to all probes.

        Args:
            clusters: the clusters with their whole new pools.
            responses: (2 C r, P), of the sequences that the former pools lack; overwritten.

        """
        former = self._pool_sizes
        self._take_pools(clusters)
        share_of_new = 1 - former.double() / self._pool_sizes
        noise, more = self._joined(responses)
        weight = share_of_new[:, None]
        # Of a mean of independent parts, the squared errors add with the squares of the weights.
        self._noise = (1 - weight) ** 2 * self._noise + weight**2 * noise
        for share, own, new in zip(share_of_new.tolist(), self.responses, more, strict=True):
            own.map_blocks(partial(torch.lerp, weight=share), new)
        self._combine()

    def _joined(self, responses: Rows) -> tuple[Tensor, list[Rows]]:
        """Return the squared errors (C, n) and the means, C of (n, P), of `responses` (2 C n, P).

        The responses are those of two halves, and are overwritten.
        """
        first, second = responses.split(2)
        clusters = len(self.responses)
        shape = (clusters, len(first) // clusters)
        noise = torch.zeros(shape, dtype=torch.float64)
        for block in blocks(first, second):
            noise += split_noise(*(half.unflatten(0, shape) for half in block))
        return noise, first.map_blocks(lambda a, b: (a + b) / 2, second).split(clusters)

    def _combine(self) -> None:
        """Compute what depends on all responses: weights of the clusters, mean, inverse."""
        shares = self.shares.to(self.probes.dtype)
        self.mean = Rows.from_blocks(
            self.rank,
            lambda *own: torch.einsum("c,crp->rp", shares, torch.stack(own)),
            *self.responses,
        )
        self.factors = weights(*self._noise_and_total(), self.shares)
        self.inverse = pseudo_inverse(self.probes.gram(self.mean))

    def _noise_and_total(self) -> tuple[Tensor, Tensor]:
        """Return the noise and the squared distance from the mean of each cluster, (C,) each.

        Both are relative to the squared responses, so that every probe has the same weight.
        """
        shape = (len(self.responses), self.rank)
        total, scale = (torch.zeros(shape, dtype=torch.float64) for _ in range(2))
        for mean, *responses in blocks(self.mean, *self.responses):
            own = torch.stack(responses)
            total += ((own - mean) ** 2).sum(-1)
            scale += own.square().sum(-1)
        noise = self.missing_shares * (self._noise / scale.sum(0)).sum(1)
        return noise, (total / scale.sum(0)).sum(1)

    def coordinates(self, displacements: Rows) -> Tensor:
        """Return z (n, r) of `displacements` (n, P)."""
        return displacements.gram(self.mean) @ self.inverse

    def remainder(self, displacements: Rows) -> Rows:
        """Return d - U' z (n, P), the part of `displacements` (n, P) that the probes miss."""
        z = self.coordinates(displacements)
        return displacements.copy().map_blocks(lambda d, probes: d - z @ probes, self.probes)

    def shrunk(self, cluster: int, columns: slice = ALL) -> Tensor:
        """Return Y + w_c (Y_c - Y), (r, P), or some of its columns."""
        own = self.responses[cluster].block(columns)
        return torch.lerp(self.mean.block(columns), own, float(self.factors[cluster]))

    def apply(self, displacements: Rows, clusters: Tensor) -> Block:
        """Return H_c d (n, P) of `displacements` (n, P); row i uses the cluster `clusters[i]`."""
        z = self.coordinates(displacements)
        mean = self.mean.combination(z)
        members = {c: torch.nonzero(clusters == c)[:, 0] for c in sorted(set(clusters.tolist()))}
        own = {c: self.responses[c].combination(z[rows]) for c, rows in members.items()}

        def block(columns: slice) -> Tensor:
            result = mean(columns)
            for c, rows in members.items():
                change = own[c](columns) - result[rows]
                result.index_add_(0, rows, change, alpha=float(self.factors[c]))
            return result

        return block

    def apply_mean(self, displacements: Rows) -> Block:
        """Return H d (n, P) of `displacements` (n, P) with the mean curvature H."""
        return self.mean.combination(self.coordinates(displacements))


@dataclass
class CurvatureAlongPath:
    """The curvature of the clusters at a few steps of the path, with the same probes at each.

    Attributes:
        steps: (A,) the steps, increasing.
        at: the curvature at each of the steps.

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

    def apply(self, t: int, displacements: Rows, clusters: Tensor) -> Block:
        """Return H_c d at step `t`, interpolated; see `ClusterCurvature.apply`."""
        low, high, _ = bracket(self.steps, t)
        at = {place: self.at[place].apply(displacements, clusters) for place in {low, high}}
        return lambda columns: interpolated(self.steps, t, lambda place: at[place](columns))

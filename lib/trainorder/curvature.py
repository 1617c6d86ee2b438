"""Low-rank curvature: the Hessians of clusters of units along probe directions.

`H_c d = Y_c z` with the responses Y_c = H_c U of the clusters c to probes U, and the coordinates
z = (U' H U)^+ (H U)' d taken in the metric of the mean curvature H (DESIGN section 2, `nystrom`).
An orthogonal projection onto U would leave the dropped stiff directions undamped.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from trainorder.clusters import Clusters
from trainorder.derivatives import gradient
from trainorder.interpolation import interpolated
from trainorder.problem import Problem
from trainorder.shrinkage import split_noise, weights

_RANK_TOLERANCE = 1e-3  # eigenvalues of U'HU below this part of the largest are noise


class Responses:
    """Measures H_c d of every cluster by finite differences at one centre.

    One-sided differences over a step of length `length`, that of real displacements: the mean
    curvature over that distance, at the cost of one gradient (FINDINGS section 1). Each pool is
    taken in two halves, whose spread tells its sampling noise.
    """

    def __init__(self, problem: Problem, clusters: Clusters, centre: Tensor, length: float) -> None:
        """Evaluate the gradients at `centre` (P,)."""
        self.problem, self.clusters, self.centre = problem, clusters, centre
        self.length = length
        self._pools = clusters.halves()
        self._base = [self._halves(c, centre) for c in range(clusters.count)]

    def _halves(self, cluster: int, theta: Tensor) -> list[Tensor]:
        gradients = []
        for rows in self._pools[cluster]:
            if len(rows):  # a pool of one sequence has a single half, and no visible noise
                gradients.append(gradient(partial(self.problem.sample_loss, rows=rows), theta))
                self.problem.meter.add("sequences", len(rows))
        return [gradients[0], gradients[-1]]

    def __call__(self, directions: Tensor) -> Tensor:
        """Return the responses (2, C, n, P) of both halves to `directions` (n, P)."""
        result = directions.new_empty(2, self.clusters.count, *directions.shape)
        for i, direction in enumerate(tqdm(directions, desc="responses", mininterval=2)):
            step = self.length / (float(direction.norm()) or 1.0)  # of no direction, no response
            theta = self.centre + step * direction
            for c, base in enumerate(self._base):
                for half, (g, g0) in enumerate(zip(self._halves(c, theta), base, strict=True)):
                    torch.sub(g, g0, out=result[half, c, i])
                    result[half, c, i] /= step
        return result


class Curvature:
    """Responses of clusters to probes, and the Hessians that they imply.

    A cluster's response is shrunk towards the mean one by the noise of its pool, which a pool of
    all its sequences is without: H_c d = [Y + w_c (Y_c - Y)] z.

    Attributes:
        probes: U, (r, P).
        responses: Y_c, (C, r, P), as measured.
        mean: Y, (r, P), the responses of the mean curvature.
        shares: (C,) weights of the clusters in the mean.
        factors: w_c, (C,), how far each cluster's own response is believed.
        inverse: (U' H U)^+, (r, r).

    """

    def __init__(self, problem: Problem, clusters: Clusters) -> None:
        """Start without probes."""
        self.shares = torch.from_numpy(clusters.shares)
        self.probes = torch.empty(0, problem.size)
        self.responses = torch.empty(clusters.count, 0, problem.size)
        self._left_out = torch.from_numpy(clusters.left_out(problem.sequences))
        self._noise = torch.zeros(clusters.count, dtype=torch.float64)
        self._total = torch.zeros(clusters.count, dtype=torch.float64)

    @property
    def rank(self) -> int:
        """r, the number of probes."""
        return len(self.probes)

    def add(self, probes: Tensor, halves: Tensor) -> None:
        """Take up `probes` (n, P) with the responses of both halves (2, C, n, P)."""
        self.probes = torch.cat([self.probes.to(probes.dtype), probes])
        self._count_noise(halves)
        new = halves.mean(0)
        self.responses = torch.cat([self.responses.to(new.dtype), new], dim=1)
        self.factors = weights(self._noise, self._total, self.shares)
        self.mean = torch.einsum("c,crp->rp", self.shares.to(new.dtype), self.responses)
        self.inverse = pseudo_inverse(self.probes @ self.mean.T)

    def _count_noise(self, halves: Tensor) -> None:
        """Add up noise and distance from the mean, every probe having the same say."""
        for first, second in zip(*halves.transpose(1, 2), strict=True):  # (C, P), a probe each
            own = (first + second) / 2
            common = self.shares.to(own.dtype) @ own
            scale = float(own.norm()) ** 2
            self._noise += self._left_out * split_noise(first, second).double() / scale
            self._total += ((own - common) ** 2).sum(-1).double() / scale

    def coordinates(self, displacements: Tensor) -> Tensor:
        """Return z (n, r) of `displacements` (n, P)."""
        return (displacements @ self.mean.T) @ self.inverse

    def remainder(self, displacements: Tensor) -> Tensor:
        """Return what the probes do not reach of `displacements` (n, P)."""
        return displacements - self.coordinates(displacements) @ self.probes

    def shrunk(self, cluster: int) -> Tensor:
        """Return Y + w_c (Y_c - Y), (r, P)."""
        return torch.lerp(self.mean, self.responses[cluster], float(self.factors[cluster]))

    def apply(self, displacements: Tensor, clusters: Tensor) -> Tensor:
        """Return H_c d for each of `displacements` (n, P), of cluster `clusters[i]`."""
        z = self.coordinates(displacements)
        result = z @ self.mean
        for c in set(clusters.tolist()):
            rows = torch.nonzero(clusters == c)[:, 0]
            own = z[rows] @ self.responses[c] - result[rows]
            result.index_add_(0, rows, own, alpha=float(self.factors[c]))
        return result

    def apply_mean(self, displacements: Tensor) -> Tensor:
        """Return H d (n, P) with the mean curvature H."""
        return self.coordinates(displacements) @ self.mean


@dataclass
class CurvatureAlong:
    """The curvature at a few steps of the path, with the same probes at each.

    Attributes:
        steps: (A,) the steps, increasing.
        at: the curvature at each.

    """

    steps: np.ndarray
    at: list[Curvature]

    @property
    def rank(self) -> int:
        """r, the number of probes."""
        return self.middle.rank

    @property
    def middle(self) -> Curvature:
        """The one nearest to the middle of the window."""
        return self.at[len(self.at) // 2]

    def apply(self, t: int, displacements: Tensor, clusters: Tensor) -> Tensor:
        """Return H_c d at step `t`, interpolated; see `Curvature.apply`."""
        return interpolated(
            self.steps, t, lambda place: self.at[place].apply(displacements, clusters)
        )


def pseudo_inverse(matrix: Tensor) -> Tensor:
    """Return the pseudo-inverse of the symmetric part of `matrix` (r, r), positive part only.

    Directions of negative or vanishing mean curvature carry no metric and are left out.
    """
    square = matrix.double()
    values, vectors = torch.linalg.eigh((square + square.T) / 2)
    kept = values > _RANK_TOLERANCE * values.max()
    vectors = vectors[:, kept]
    inverse: Tensor = ((vectors / values[kept]) @ vectors.T).to(matrix.dtype)
    return inverse

"""A-posteriori estimates of the relative errors of low-rank curvature.

All compare H_c d with what was measured, in the norm of the preconditioner, over all clusters c and
a few displacements d that no probe was chosen from. See `docs/method`, "What grows".
"""

import math

import torch
from torch import Tensor

from trainorder.curvature.cluster_curvature import ClusterCurvature
from trainorder.numerics.rows import Rows, blocks
from trainorder.numerics.shrinkage import split_noise


def response_errors(
    curvature: ClusterCurvature, displacements: Rows, responses: Rows, metric: Tensor
) -> tuple[float, float]:
    """Return the error of too few probes, and that of the noise of the pools.

    Both are relative to the measured H_c d, which is shrunk as the estimate is: probes cannot
    reduce the part that is shrunk away.

    Args:
        curvature: of the clusters.
        displacements: d, (n, P).
        responses: (2 C n, P), H_c d measured on both halves of the pools, see `Responses`.
        metric: (P,), see `second_moment_scale`.

    """
    n, clusters = len(displacements), len(curvature.responses)
    estimates = [curvature.apply(displacements, torch.full((n,), c)) for c in range(clusters)]
    wrong = total = noise = 0.0
    for first, second, scale, *estimated in blocks(*responses.split(2), metric, *estimates):
        measured = ((first + second) / 2).unflatten(0, (clusters, n))
        mean = torch.einsum("c,cnp->np", curvature.shares.to(measured.dtype), measured)
        halves = (half.div(scale).unflatten(0, (clusters, n)) for half in (first, second))
        noise += curvature.shrunk_noise(split_noise(*halves).sum(1).double())
        for c, own in enumerate(measured):
            exact = torch.lerp(mean, own, float(curvature.factors[c]))
            wrong += float(((estimated[c] - exact) / scale).norm()) ** 2
            total += float((exact / scale).norm()) ** 2
    return math.sqrt(wrong / total), math.sqrt(noise / total)


def relative_change(responses: Rows, other: Rows, metric: Tensor) -> float:
    """Return |a - b| / |b| of the responses a and b to the same displacements at two steps.

    Args:
        responses: (2 C n, P), of both halves of the pools.
        other: (2 C n, P), at the other step, of the same sequences.
        metric: (P,), see `second_moment_scale`.

    """
    changed, total = 0.0, 0.0
    for a, b, c, d, scale in blocks(*responses.split(2), *other.split(2), metric):
        changed += float(((a + b - c - d) / scale).norm()) ** 2
        total += float(((c + d) / scale).norm()) ** 2
    return math.sqrt(changed / total)

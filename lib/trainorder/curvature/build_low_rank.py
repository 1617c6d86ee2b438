"""Builds the low-rank expansion from a gradient table and the curvature of the clusters.

The first rows of the basis span the responses of the mean curvature; they read displacements. The
other rows are the principal directions of what the first rows do not span: the deviations of the
table from its mean, and the responses of the clusters.
"""

from functools import partial
from itertools import product

import numpy as np
import torch
from torch import Tensor

from trainorder.curvature.cluster_curvature import ClusterCurvature, CurvatureAlongPath
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.expansion.expansion import Expansion
from trainorder.numerics.gram import leading_remainder, orthonormal_basis, square_root
from trainorder.numerics.rows import Rows, blocks


def build_low_rank(
    expansion: Expansion,
    curvature: CurvatureAlongPath,
    labels: np.ndarray,
    displacements: Rows,
    metric: Tensor,
    size: int,
) -> tuple[LowRankExpansion, float]:
    """Return a low-rank expansion, and the share of the energy that its basis does not contain.

    Both the deviations and the responses are weighted as a replay meets them: the deviations of an
    anchor as often as there are steps near it, the responses as strongly as displacements excite
    them.

    Args:
        expansion: the path and the gradient table.
        curvature: the curvature of the clusters along the same path.
        labels: (U,) int64, cluster of each unit.
        displacements: (n, P), typical of replays.
        metric: (P,), see `second_moment_scale`.
        size: maximum of q, the number of rows of the basis.

    """
    path, anchors, units = expansion.path, expansion.path.anchors, len(labels)
    probed, clusters, rank = len(curvature.at), len(curvature.middle.responses), curvature.rank
    gradients = len(anchors) * units
    rows = Rows.empty(gradients + probed * clusters * rank, len(metric), dtype=metric.dtype)
    deviations, responses = rows[:gradients], rows[gradients:]
    mean = _write_deviations(expansion, metric, deviations)
    mean_responses = _write_responses(curvature, displacements, metric, path.steps, responses)
    readers = orthonormal_basis(mean_responses)[: min(rank, size)]
    weight = torch.ones(len(rows), dtype=metric.dtype)
    weight[:gradients] = (path.steps / gradients) ** 0.5
    inside, writers, lost = leading_remainder(rows, weight, readers, size - len(readers))
    basis = Rows.concatenate([readers, writers])
    coefficients = torch.cat([inside[:gradients], deviations.gram(writers)], 1)
    cores = [_cores(at, basis, metric, len(readers)) for at in curvature.at]
    result = LowRankExpansion(
        start=path.state(0),
        steps=path.steps,
        anchors=anchors,
        anchor_parameters=Rows.stack(
            map(path.parameters, anchors.tolist()), len(mean), mean.size, mean.dtype
        ),
        mean=mean,
        basis=basis.map_blocks(torch.mul, metric),
        coefficients=coefficients.unflatten(0, (len(anchors), units)),
        probed_steps=curvature.steps,
        cores=torch.stack(cores),
        labels=torch.from_numpy(labels),
        unit_corrections=metric.new_zeros(units, 0, len(basis)),
        unit_readers=metric.new_zeros(0, len(readers)),
    )
    return result, lost


def _write_deviations(expansion: Expansion, metric: Tensor, result: Rows) -> Rows:
    """Write the deviations of the table's gradients from their mean to `result` (K U, P).

    They are divided by `metric`. Returns the mean over the units, (K, P).
    """
    anchors = expansion.path.anchors.tolist()
    shape = (len(anchors), len(result) // len(anchors))
    for row, (t, unit) in enumerate(product(anchors, range(shape[1]))):
        result[row] = expansion.gradients(t, torch.tensor([[unit]]))[0]
    means = Rows.empty(len(anchors), result.size, dtype=metric.dtype)
    for block, mean, scale in blocks(result, means, metric, at_once=len(result)):
        gradients = block.unflatten(0, shape)
        mean.copy_(gradients.mean(1))
        gradients.sub_(mean[:, None]).div_(scale)
    return means


def _write_responses(
    curvature: CurvatureAlongPath, displacements: Rows, metric: Tensor, steps: int, result: Rows
) -> Rows:
    """Write the responses of the clusters to `result` (A C r, P), weighted as in a replay.

    The responses to probes are combined to those that `displacements` excite, and divided by
    `metric`. Those of a cluster are multiplied by the square root of its share. Returns the same
    for the mean curvature, (A r, P).
    """
    probed, rank = len(curvature.at), curvature.rank
    shares = [float(share) ** 0.5 for share in curvature.middle.shares]
    means = Rows.empty(probed * rank, len(metric), dtype=metric.dtype)
    parts = zip(curvature.at, means.split(probed), result.split(probed), strict=True)
    for at, mean_rows, own_rows in parts:
        weight = (steps / probed) ** 0.5 * square_root(at.coordinates(displacements)).T
        shrunk = [partial(at.shrunk, c) for c in range(len(shares))]
        for mean, own, mean_response, scale, *responses in blocks(
            mean_rows, own_rows, at.mean, metric, *shrunk, at_once=len(own_rows)
        ):
            mean.copy_(weight @ (mean_response / scale))
            combined = [
                share * weight @ (response / scale)
                for share, response in zip(shares, responses, strict=True)
            ]
            own.copy_(torch.cat(combined))
    return means


def _cores(curvature: ClusterCurvature, basis: Rows, metric: Tensor, readers: int) -> Tensor:
    """Return M (C, q, r) of the clusters, read by the functionals `basis` (q, P) over `metric`."""
    inverse_metric = metric.reciprocal()
    mean = curvature.mean.gram(basis, inverse_metric)  # not the mean of `own`: shrinkage is uneven
    own = torch.stack(
        [
            torch.lerp(mean, responses.gram(basis, inverse_metric), float(factor))
            for responses, factor in zip(curvature.responses, curvature.factors, strict=True)
        ]
    )  # (C, n, q)
    return torch.einsum("cnq,nm,mr->cqr", own, curvature.inverse, mean[:, :readers])

"""Compresses a gradient table and the curvature of clusters into one low-rank expansion.

The basis first spans the responses of the mean curvature, which read a displacement. Its other rows
are the principal directions of what these leave of the table's deviations from its mean and of the
clusters' responses.
"""

import numpy as np
import torch
from torch import Tensor

from trainorder.curvature.cluster_curvature import ClusterCurvature, CurvatureAlongPath
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.expansion.expansion import Expansion
from trainorder.numerics import large_tensors
from trainorder.numerics.gram import leading_remainder, orthonormal_basis, square_root
from trainorder.numerics.rows import Rows


def compress(
    expansion: Expansion,
    curvature: CurvatureAlongPath,
    labels: np.ndarray,
    displacements: Tensor,
    metric: Tensor,
    size: int,
) -> tuple[LowRankExpansion, float]:
    """Return the low-rank expansion of rank `size`, and the share of the energy it leaves out.

    Table deviations count as often as a replay meets them, once a step; the responses as strongly
    as `displacements` (n, P), typical of replays, excite them. `metric` (P,) is as in
    `probes.second_moment_scale`.
    """
    path, anchors = expansion.path, expansion.path.anchors
    count, units = len(anchors) * len(labels), len(labels)
    clusters = len(curvature.at) * len(curvature.middle.responses)
    rows = large_tensors.empty(count + clusters * curvature.rank, len(metric), dtype=metric.dtype)
    mean = _deviations(expansion, metric, rows[:count].unflatten(0, (len(anchors), units)))
    common = _excited(curvature, displacements, metric, path.steps, rows[count:])
    readers = orthonormal_basis(common)[: min(curvature.rank, size)]
    weight = torch.ones(len(rows), dtype=metric.dtype)
    weight[:count] = (path.steps / count) ** 0.5
    inside, writers, lost = leading_remainder(rows, weight, readers, size - len(readers))
    basis = large_tensors.join([readers, writers])
    coefficients = torch.cat(
        [inside[:count], large_tensors.inner_products(rows[:count], writers)], 1
    )
    cores = [_cores(bend, basis, metric, len(readers)) for bend in curvature.at]
    for columns in large_tensors.column_blocks(*basis.shape):
        basis[:, columns] *= metric[columns]
    result = LowRankExpansion(
        path.state(0),
        path.steps,
        anchors,
        large_tensors.stack(map(path.parameters, anchors.tolist()), mean.shape, mean.dtype),
        mean,
        basis,
        coefficients.unflatten(0, (len(anchors), units)),
        curvature.steps,
        torch.stack(cores),
        torch.from_numpy(labels),
        basis.new_zeros(units, 0, len(basis)),
        basis.new_zeros(0, len(readers)),
    )
    return result, lost


def _deviations(expansion: Expansion, metric: Tensor, result: Tensor) -> Tensor:
    """Return the mean over units of the table's gradients, (K, P).

    What each differs by, over `metric`, is left in `result` (K, U, P).
    """
    anchors, units, size = result.shape
    for place, t in enumerate(expansion.path.anchors.tolist()):
        for unit in range(units):
            result[place, unit] = expansion.gradients(t, torch.tensor([[unit]]))[0]
            large_tensors.release_pages()
    mean = large_tensors.empty(anchors, size, dtype=metric.dtype)
    for columns in large_tensors.column_blocks(anchors * units, size):
        mean[:, columns] = result[..., columns].mean(1)
        result[..., columns] -= mean[:, None, columns]
        result[..., columns] /= metric[columns]
    return mean


def _excited(
    curvature: CurvatureAlongPath, displacements: Tensor, metric: Tensor, steps: int, result: Tensor
) -> Tensor:
    """Return responses as strong as `displacements` excite them in a replay, over `metric`.

    Returned are those of the mean curvature, (A r, P); those of the clusters, by the square root of
    their shares, are left in `result` (A C r, P).
    """
    roots = [square_root(bend.coordinates(displacements)) for bend in curvature.at]
    times = (steps / len(roots)) ** 0.5
    shares = [float(share) ** 0.5 for share in curvature.middle.shares]
    shape, rank = (len(roots), len(shares)), curvature.rank
    common = large_tensors.empty(len(roots), rank, len(metric), dtype=metric.dtype)
    own = result.unflatten(0, (*shape, rank))
    for columns in large_tensors.column_blocks(rank * len(shares), len(metric)):
        for i, (bend, root) in enumerate(zip(curvature.at, roots, strict=True)):
            weight = times * root.T
            common[i, :, columns] = weight @ (bend.mean.tensor[:, columns] / metric[columns])
            for c, share in enumerate(shares):
                own[i, c, :, columns] = share * weight @ (bend.shrunk(c, columns) / metric[columns])
    return common.flatten(0, 1)


def _cores(curvature: ClusterCurvature, basis: Tensor, metric: Tensor, readers: int) -> Tensor:
    """Return M (C, q, r) of the clusters, read by the functionals `basis` (q, P) over `metric`."""
    over = metric.reciprocal()
    common = curvature.mean.gram(Rows(basis), over)  # not the mean of `own`, unevenly shrunk
    own = torch.stack(
        [
            torch.lerp(common, rows.gram(Rows(basis), over), float(factor))
            for rows, factor in zip(curvature.responses, curvature.factors, strict=True)
        ]
    )  # (C, n, q)
    return torch.einsum("cnq,nm,mr->cqr", own, curvature.inverse, common[:, :readers])

"""The error that the rounding of a low-rank expansion causes."""

import torch
from torch import Tensor

from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.numerics import large_tensors


def rounding(
    exact: LowRankExpansion, kept: LowRankExpansion, directions: Tensor, metric: Tensor, t: int
) -> dict[str, float | None]:
    """Return how far `kept`, which was rounded, is off `exact` at step `t`, relative to it.

    `table` is of what the units' gradients on the path differ by from their mean; `curvature` of
    what a displacement adds to them, one for each unit, drawn along `directions` (n, P), each as
    long as displacements reach along it: None without any. Both are ratios of root mean squares
    over the units, in the norm of the preconditioner, |g / `metric`|.
    """
    units = torch.arange(len(exact.labels))[:, None]
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(len(units), len(directions), generator=generator, dtype=metric.dtype)
    inside = []
    for model in (exact, kept):  # (2, U, q) of table and curvature
        off = torch.sub(exact.parameters(t), model.parameters(t))[None]
        moved = drawn @ large_tensors.inner_products(directions, model.readers)
        moved += large_tensors.inner_products(off, model.readers)
        inside.append(
            torch.stack([model.coordinates(t, units), model.curvature_coordinates(t, units, moved)])
        )
    size, error = (torch.zeros(2, dtype=torch.float64) for _ in "se")
    for columns in large_tensors.column_blocks(4 * len(units) + 2 * len(exact.basis), len(metric)):
        true, found = (
            rows @ model.basis[:, columns]
            for rows, model in zip(inside, (exact, kept), strict=True)
        )
        found[0] += kept.mean_gradient(t, columns) - exact.mean_gradient(t, columns)
        for total, rows in ((size, true), (error, found - true)):
            total += (rows / metric[columns]).double().square().sum((1, 2))
    ratios = [float((off / of).sqrt()) if of else None for off, of in zip(error, size, strict=True)]
    return dict(zip(("table", "curvature"), ratios, strict=True))

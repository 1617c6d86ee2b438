"""The error that the rounding of a low-rank expansion causes."""

from functools import partial

import torch
from torch import Tensor

from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.numerics.rows import Rows, blocks


def rounding(
    exact: LowRankExpansion, rounded: LowRankExpansion, directions: Rows, metric: Tensor, t: int
) -> dict[str, float | None]:
    """Return the relative error of the rounded expansion at step `t`, for `table` and `curvature`.

    `table` compares the differences of the units' gradients on the path from their mean.
    `curvature` compares how a displacement changes the gradients; one displacement per unit is
    drawn along `directions`. Both errors are ratios of root mean squares over the units, in the
    norm of the preconditioner, |g / `metric`|.

    Args:
        exact: before rounding.
        rounded: after rounding.
        directions: (n, P), each as long as displacements reach along it; if n is 0, `curvature` is
            None.
        metric: (P,), see `second_moment_scale`.
        t: step of the window.

    """
    units = torch.arange(len(exact.labels))[:, None]
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(len(units), len(directions), generator=generator, dtype=metric.dtype)
    coordinates = []
    for model in (exact, rounded):  # (2, U, q) of table and curvature
        off_path = Rows(torch.sub(exact.parameters(t), model.parameters(t))[None])
        read = drawn @ directions.gram(model.readers) + off_path.gram(model.readers)
        curvature = model.curvature_coordinates(t, units, read)
        coordinates.append(torch.stack([model.coordinates(t, units), curvature]))
    size, error = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for true, approximate, true_mean, approximate_mean, scale in blocks(
        exact.basis.combination(coordinates[0]),
        rounded.basis.combination(coordinates[1]),
        partial(exact.mean_gradient, t),
        partial(rounded.mean_gradient, t),
        metric,
        at_once=4 * len(units) + 2 * len(exact.basis),
    ):
        approximate[0] += approximate_mean - true_mean
        size += (true / scale).double().square().sum((1, 2))
        error += ((approximate - true) / scale).double().square().sum((1, 2))
    table, curvature_error = (
        float((wrong / whole).sqrt()) if whole else None
        for wrong, whole in zip(error, size, strict=True)
    )
    return {"table": table, "curvature": curvature_error}

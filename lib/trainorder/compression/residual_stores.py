"""Compares stores of the residuals of a known run: bytes against errors of the estimates.

`corrected` reads one residual for each visit of a unit, instead of a gradient table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.compression.codec import Codec, DenseTable, byte_count
from trainorder.compression.dense import DenseCodec
from trainorder.compression.float16 import Float16
from trainorder.compression.int8 import Int8
from trainorder.estimators.corrected import Corrected
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.known_runs import KnownRuns
from trainorder.numerics.large_tensors import release_pages
from trainorder.numerics.resampling import finite
from trainorder.numerics.rows import Rows
from trainorder.orders.order import Order
from trainorder.training.problem import LanguageProblem

CODECS: tuple[type[Codec], ...] = (DenseCodec, Float16, Int8)
NAMES = {"dense": "float32"}  # in the results; the others have the name of their codec


@dataclass(frozen=True)
class _Estimates:
    """Estimated final parameters (O, P) and their held-out losses (O,)."""

    parameters: Tensor
    losses: np.ndarray


def compare_residual_stores(
    problem: LanguageProblem,
    expansion: Expansion,
    runs: KnownRuns,
    orders: Sequence[Order],
    *,
    size: int,
    seed: int,
) -> dict[str, Any]:
    """Return the field `residuals` of `stores.json`.

    The `orders` are estimated with `corrected` from the exact residuals, and from those that each
    codec gives back.

    Args:
        problem: the learning problem.
        expansion: about the run's path; its table is not read.
        runs: the exact residuals of the reference run, of one size.
        orders: at least one; at least two have a spread.
        size: of the estimator `corrected`.
        seed: of that estimator.

    """
    schedules = torch.from_numpy(np.stack([order.schedule for order in orders]))

    def estimated(known: KnownRuns) -> _Estimates:
        estimator = Corrected(expansion, known, size, seed)
        parameters = estimator.replay(schedules, lambda t, theta: None)
        return _Estimates(
            parameters, np.array([problem.evaluate(theta)[0] for theta in parameters])
        )

    [(residual_size, exact)] = runs.residuals.items()
    with problem.meter.time("replay exact residuals"):
        expected = estimated(runs)
    moved = (expected.parameters - expansion.path.parameters(expansion.path.steps)).norm(dim=1)
    spread = float(np.std(expected.losses, ddof=1)) if len(orders) > 1 else None
    dense_bytes = exact.tensor.numel() * exact.tensor.element_size()
    stores = []
    for codec in (kind() for kind in CODECS):
        decoded, stored = _stored(codec, exact)
        with problem.meter.time(f"replay residuals, {codec.name}"):
            actual = estimated(replace(runs, residuals={residual_size: decoded}))
        parameter_error = ((actual.parameters - expected.parameters).norm(dim=1) / moved).mean()
        loss_error = finite(float(np.abs(actual.losses - expected.losses).mean()))
        stores.append(
            {
                "store": NAMES.get(codec.name, codec.name),
                "bytes": stored,
                "ratio": dense_bytes / stored,
                "residual_error": _relative_error(decoded, exact),
                "parameter_error": finite(float(parameter_error)),
                "loss_error": loss_error,
                "loss_error_over_spread": (
                    loss_error / spread if loss_error is not None and spread else None
                ),
            }
        )
    return {
        "size": size,
        "visits": len(runs.units),
        "points_bytes": byte_count({"points": runs.points}),
        "orders": [order.name for order in orders],
        "displacement": float(moved.mean()),
        "loss_spread": spread,
        "stores": stores,
    }


def _stored(codec: Codec, exact: Rows) -> tuple[Rows, int]:
    """Return the residuals that a codec gives back, and the bytes that it stores."""
    (visits, size), stored = exact.tensor.shape, 0
    decoded = Rows.empty(visits, size, exact.tensor.dtype)
    for row, residual in zip(decoded.tensor, exact.tensor, strict=True):
        arrays = codec.encode(DenseTable(residual[None, None]))
        row.copy_(codec.decode(arrays, 0)[0])
        stored += byte_count(arrays)
        release_pages()
    return decoded, stored


def _relative_error(decoded: Rows, exact: Rows) -> float | None:
    """Return |decoded - exact| / |exact|; None if all residuals are 0."""
    error = norm = 0.0
    for row, residual in zip(decoded.tensor, exact.tensor, strict=True):
        error += float((row - residual).double().square().sum())
        norm += float(residual.double().square().sum())
        release_pages()
    return finite((error / norm) ** 0.5) if norm else None

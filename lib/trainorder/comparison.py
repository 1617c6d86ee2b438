"""Every store of the gradient table on one axis: its bytes, and what it does to a replay."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.errors import UserError
from trainorder.estimators.base import Expansion
from trainorder.estimators.order0 import Order0
from trainorder.orders import Order
from trainorder.problem import LanguageProblem
from trainorder.stores.base import Codec, Dense, Encoded, byte_count, encoded
from trainorder.stores.build import PUBLISHED_RATIO, all_codecs

LARGEST_BYTES = 3 * 2**29  # of the table that is held in memory; a longer one is compared in part
ORDERS = 8  # replayed with each store


@dataclass
class Squares:
    """Sums over the steps of squared errors and of what they are relative to."""

    error: float = 0.0
    norm: float = 0.0
    inner_error: float = 0.0
    inner: float = 0.0
    distance_errors: list[Tensor] = field(default_factory=list)

    def add(self, dense: Tensor, found: Tensor, features: Tensor) -> None:
        """Add one step: gradients (U, P), what stands for them, and its features (U, k)."""
        self.error += _square(found - dense)
        self.norm += _square(dense)
        true, seen = (rows.double() @ rows.double().T for rows in (dense, features))
        self.inner_error += _square(seen - true)
        self.inner += _square(true)
        upper = torch.ones_like(true).triu(1).bool()
        distances = [_distances(gram)[upper] for gram in (true, seen)]
        apart = distances[0] > 0
        self.distance_errors.append(distances[1][apart] / distances[0][apart] - 1)

    def as_dict(self) -> dict[str, float | None]:
        """Return the relative errors of the table, of inner products and of distances."""
        ratios = torch.cat(self.distance_errors)
        return {
            "table_error": finite(math.sqrt(self.error / self.norm)) if self.norm else None,
            "inner_product_error": finite(math.sqrt(self.inner_error / self.inner))
            if self.inner
            else None,
            "distance_error": finite(math.sqrt(_square(ratios) / len(ratios)))
            if len(ratios)
            else None,
        }


def _square(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values, dtype=torch.float64) ** 2)


def _distances(gram: Tensor) -> Tensor:
    """Return the distances of vectors from their inner products (U, U)."""
    squares = gram.diagonal()
    return (squares[:, None] + squares - 2 * gram).clamp(min=0).sqrt()


class Watched:
    """Hands a store's gradients to a replay, and adds up their errors as they pass."""

    def __init__(self, store: Encoded, dense: Dense) -> None:
        """Compare `store` with `dense`."""
        self._store, self._dense = store, dense
        self.squares = Squares()

    def at(self, t: int) -> Tensor:
        """Return the store's gradients (U, P) at step `t`."""
        found = self._store.at(t)
        self.squares.add(self._dense.at(t), found, self._store.features(t))
        return found


@dataclass(frozen=True)
class Replays:
    """The ends (O, P) of the replayed orders, and their held-out losses (O,)."""

    parameters: Tensor
    losses: np.ndarray


def compared(
    problem: LanguageProblem, expansion: Expansion, orders: Sequence[Order]
) -> dict[str, Any]:
    """Return the content of `stores.json`: each store against the table of `expansion`.

    The first `ORDERS` orders but the reference are replayed with `order0` from every store and
    from the dense table; calibration orders come first. A table of more than `LARGEST_BYTES` is
    compared over its first steps.

    Raises:
        UserError: a gradient is not finite, or the table is too large for a single step.

    """
    dense = _dense(expansion)
    steps = len(dense.gradient)
    chosen = [order for order in orders if order.split != "reference"][:ORDERS]
    schedules = torch.from_numpy(np.stack([order.schedule[:steps] for order in chosen]))
    exact = _replayed(problem, replace(expansion, table=dense), schedules)
    origin = expansion.path.parameters(steps)
    moved = (exact.parameters - origin).norm(dim=1)
    spread = float(np.std(exact.losses, ddof=1)) if len(chosen) > 1 else None
    return {
        "path": "reference",
        "steps": steps,
        "window_steps": expansion.path.steps,
        "units": dense.gradient.shape[1],
        "parameters": dense.gradient.shape[2],
        "dense_bytes": byte_count({"gradient": dense.gradient}),
        "published_ratio": PUBLISHED_RATIO,
        "orders": [order.name for order in chosen],
        "displacement": float(moved.mean()),
        "loss_spread": spread,
        "stores": [
            _compared(problem, expansion, schedules, dense, codec, exact, moved, spread)
            for codec in all_codecs(dense)
        ],
    }


def _dense(expansion: Expansion) -> Dense:
    """Return as much of the expansion's table as may be held."""
    table = expansion.table
    if table is None:
        raise ValueError("stores are compared with a gradient table, and none was opened")
    step_bytes = byte_count({"step": table.at(0)})
    steps = min(expansion.path.steps, LARGEST_BYTES // step_bytes)
    if steps < 2:
        raise UserError(
            f"gradient table: {step_bytes} bytes a step are too many to compare stores; "
            "lower window.units or model.hidden_size"
        )
    return Dense.read(table, steps)


def _compared(
    problem: LanguageProblem,
    expansion: Expansion,
    schedules: Tensor,
    dense: Dense,
    codec: Codec,
    exact: Replays,
    moved: Tensor,
    spread: float | None,
) -> dict[str, Any]:
    """Return the record of one store."""
    label = f"{codec.name} {codec.size} {codec.read}".strip()
    with problem.meter.time(f"encode/{label}"):
        store = encoded(codec, dense)
    watched = Watched(store, dense)
    with problem.meter.time(f"replay/{label}"):
        found = _replayed(problem, replace(expansion, table=watched), schedules)
    estimate = codec.estimate(dense, store.arrays)
    loss_error = finite(float(np.abs(found.losses - exact.losses).mean()))
    parameter_error = ((found.parameters - exact.parameters).norm(dim=1) / moved).mean()
    return {
        "store": codec.name,
        "size": codec.size,
        "read": codec.read or None,
        "bytes": store.bytes,
        "ratio": byte_count({"gradient": dense.gradient}) / store.bytes,
        "streaming_bytes": codec.streaming_bytes(store.arrays),
        **watched.squares.as_dict(),
        "estimated_table_error": asdict(estimate) if estimate else None,
        "parameter_error": finite(float(parameter_error)),
        "loss_error": loss_error,
        "loss_error_over_spread": loss_error / spread
        if loss_error is not None and spread
        else None,
    }


def _replayed(problem: LanguageProblem, expansion: Expansion, schedules: Tensor) -> Replays:
    parameters = Order0(expansion).replay(schedules, lambda t, theta: None)
    losses = np.array([problem.evaluate(row)[0] for row in parameters])
    return Replays(parameters, losses)


def finite(value: float) -> float | None:
    """Return `value`, or None where it is not finite: JSON has no such numbers."""
    return value if math.isfinite(value) else None

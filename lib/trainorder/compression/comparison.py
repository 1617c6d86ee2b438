"""Every store of the gradient table on one axis: its bytes, and what it does to a replay."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.compression.codec import Codec, Dense, Encoded, byte_count, encoded
from trainorder.compression.codecs import PUBLISHED_RATIO, all_codecs
from trainorder.estimators.order0 import Order0
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.gradient_table import GradientTable
from trainorder.numerics.interpolation import interpolated
from trainorder.numerics.resampling import finite
from trainorder.orders.order import Order
from trainorder.training.problem import LanguageProblem

LARGEST_BYTES = 2**30  # of the table that is held in memory; a longer one is compared in part
ORDERS = 4  # replayed with each store
_COLUMNS = 2**13  # of a scratch matrix; about a processor cache


class Squares:
    """Sums over the steps of squared errors, and of what they are relative to."""

    def __init__(self) -> None:
        """Start from nothing."""
        self.error = self.norm = self.inner_error = self.inner = 0.0
        self._distance_errors: list[Tensor] = []

    def add(self, dense: Tensor, products: Tensor, found: Tensor, features: Tensor) -> None:
        """Add one step.

        Args:
            dense: (U, P), the true gradients.
            products: (U, U), their inner products.
            found: (U, P), what stands for them.
            features: (U, k), whose inner products stand for `products`.

        """
        seen = gram(features)
        self.error += _square(found - dense)
        self.norm += float(products.trace())
        self.inner_error += _square(seen - products)
        self.inner += _square(products)
        pairs = torch.ones_like(products).triu(1).bool()
        true_distances, distances = (_distances(matrix)[pairs] for matrix in (products, seen))
        apart = true_distances > 0
        self._distance_errors.append(distances[apart] / true_distances[apart] - 1)

    def as_dict(self) -> dict[str, float | None]:
        """Return the relative errors of the table, of inner products and of distances."""
        errors = torch.cat(self._distance_errors)
        return {
            "table_error": _root(self.error, self.norm),
            "inner_product_error": _root(self.inner_error, self.inner),
            "distance_error": _root(_square(errors), len(errors)),
        }


def gram(rows: Tensor) -> Tensor:
    """Return the inner products (U, U) of rows (U, n), summed in float64 over parts of the rows.

    Distances of near gradients are small differences of these.
    """
    result = rows.new_zeros(len(rows), len(rows), dtype=torch.float64)
    for part in rows.split(_COLUMNS, dim=1):
        result += part @ part.T
    return result


def _square(values: Tensor) -> float:
    """Return the sum of squares, in float64 over the first axis."""
    return float(torch.linalg.vector_norm(values, dim=-1).double().square().sum())


def _root(square: float, of: float) -> float | None:
    return finite(math.sqrt(square / of)) if of else None


def _distances(products: Tensor) -> Tensor:
    """Return the distances of vectors from their inner products (U, U)."""
    squares = products.diagonal()
    return (squares[:, None] + squares - 2 * products).clamp(min=0).sqrt()


class Watched(GradientTable):
    """Hands out a store's gradients, and adds up the errors of each row of the table once."""

    def __init__(self, store: Encoded, dense: Dense, products: Sequence[Tensor]) -> None:
        """Compare `store` with `dense`, whose inner products in each row are `products` (U, U)."""
        self._store, self._dense, self._products = store, dense, products
        self._held: dict[int, Tensor] = {}  # the last two: steps between anchors share them
        self.squares = Squares()

    def at(self, t: int) -> Tensor:
        """Return the store's gradients (U, P) in row `t`; rows are asked for in their order."""
        if t not in self._held:
            while len(self._held) > 1:
                self._held.pop(next(iter(self._held)))
            found, features = self._store.at(t), self._store.features(t)
            self.squares.add(self._dense.at(t), self._products[t], found, features)
            self._held[t] = found
        return self._held[t]


@dataclass(frozen=True)
class Interpolated(GradientTable):
    """Gradients that stand at anchors, with straight lines between, as `table.Table` reads them."""

    table: GradientTable
    anchors: np.ndarray

    def at(self, t: int) -> Tensor:
        """Return the gradients (U, P) at step `t`."""
        return interpolated(self.anchors, t, self.table.at)


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
    from the dense table; calibration orders come first. What is stored are the table's anchors,
    all steps as a rule. A table of more than `LARGEST_BYTES` is compared over its first steps; one
    of which two anchors are more is not, and there are no `stores`.

    Raises:
        UserError: a gradient is not finite.

    """
    step_bytes = problem.units * problem.size * expansion.dtype.itemsize
    anchors = expansion.path.anchors[: LARGEST_BYTES // step_bytes]
    steps = expansion.path.steps
    if len(anchors) < len(expansion.path.anchors):
        steps = int(anchors[-1]) + 1 if len(anchors) > 1 else 0
    shape = {
        "path": "reference",
        "steps": steps,
        "window_steps": expansion.path.steps,
        "anchors": len(anchors),
        "units": problem.units,
        "parameters": problem.size,
        "dense_bytes": len(anchors) * step_bytes,
        "published_ratio": PUBLISHED_RATIO,
    }
    if not steps:
        return {**shape, "orders": [], "displacement": None, "loss_spread": None, "stores": []}
    dense = Dense.read(_table(expansion), anchors.tolist())
    chosen = [order for order in orders if order.split != "reference"][:ORDERS]
    schedules = torch.from_numpy(np.stack([order.schedule[:steps] for order in chosen]))
    comparison = _Comparison(problem, expansion, dense, anchors, schedules)
    return {
        **shape,
        "orders": [order.name for order in chosen],
        "displacement": float(comparison.moved.mean()),
        "loss_spread": comparison.spread,
        "stores": [comparison.record(codec) for codec in all_codecs(dense)],
    }


def _table(expansion: Expansion) -> GradientTable:
    if expansion.table is None:
        raise ValueError("stores are compared with a gradient table, and none was opened")
    return expansion.table


class _Comparison:
    """What every store is compared with: the dense table, and replays from it."""

    def __init__(
        self,
        problem: LanguageProblem,
        expansion: Expansion,
        dense: Dense,
        anchors: np.ndarray,
        schedules: Tensor,
    ) -> None:
        self.problem, self.expansion = problem, expansion
        self.dense, self.anchors, self.schedules = dense, anchors, schedules
        self.products = [gram(rows) for rows in dense.gradient]
        self.exact = self._replayed(dense)
        origin = expansion.path.parameters(schedules.shape[1])
        self.moved = (self.exact.parameters - origin).norm(dim=1)
        losses = self.exact.losses
        self.spread = float(np.std(losses, ddof=1)) if len(losses) > 1 else None

    def record(self, codec: Codec) -> dict[str, Any]:
        """Return the record of one store."""
        label = f"{codec.name}, {codec.size}" + (f", {codec.read}" if codec.read else "")
        with self.problem.meter.time(f"encode {label}"):
            store = encoded(codec, self.dense)
            estimate = codec.estimate(self.dense, store.arrays)
        watched = Watched(store, self.dense, self.products)
        with self.problem.meter.time(f"replay {label}"):
            found = self._replayed(watched)
        parameter_errors = (found.parameters - self.exact.parameters).norm(dim=1) / self.moved
        loss_error = finite(float(np.abs(found.losses - self.exact.losses).mean()))
        relative = loss_error / self.spread if loss_error is not None and self.spread else None
        return {
            "store": codec.name,
            "size": codec.size,
            "read": codec.read or None,
            "bytes": store.bytes,
            "ratio": byte_count({"gradient": self.dense.gradient}) / store.bytes,
            "streaming_bytes": codec.streaming_bytes(store.arrays),
            **watched.squares.as_dict(),
            "estimated_table_error": asdict(estimate) if estimate else None,
            "parameter_error": finite(float(parameter_errors.mean())),
            "loss_error": loss_error,
            "loss_error_over_spread": relative,
        }

    def _replayed(self, table: GradientTable) -> Replays:
        """Replay every order from the rows of `table`, which stand at the anchors."""
        between = Interpolated(table, self.anchors)
        estimator = Order0(replace(self.expansion, table=between))
        parameters = estimator.replay(self.schedules, lambda t, theta: None)
        losses = np.array([self.problem.evaluate(row)[0] for row in parameters])
        return Replays(parameters, losses)

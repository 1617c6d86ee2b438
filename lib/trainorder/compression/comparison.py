"""Compares the codecs of the gradient table: bytes against errors of the table and of replays."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.compression.codec import Codec, CompressedTable, DenseTable, byte_count, compressed
from trainorder.compression.codecs import PUBLISHED_RATIO, all_codecs
from trainorder.estimators.order0 import Order0
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.gradient_table import GradientTable
from trainorder.numerics.interpolation import interpolated
from trainorder.numerics.resampling import finite
from trainorder.orders.order import Order
from trainorder.training.problem import LanguageProblem

LARGEST_BYTES = (
    2**30
)  # of the table in memory; of a larger table, only the first steps are compared
ORDERS = 4  # replayed with each codec
_COLUMNS = 2**13  # of a scratch matrix; fits into a CPU cache


class Squares:
    """Sums of squared errors over steps, and of the squares that they are relative to."""

    def __init__(self) -> None:
        """Start with zero sums."""
        self.error = self.norm = self.inner_error = self.inner = 0.0
        self._distance_errors: list[Tensor] = []

    def add(self, dense: Tensor, products: Tensor, decoded: Tensor, features: Tensor) -> None:
        """Add one step.

        Args:
            dense: (U, P), the true gradients.
            products: (U, U), their inner products.
            decoded: (U, P), the approximate gradients.
            features: (U, k), whose inner products approximate `products`.

        """
        approximate = gram(features)
        self.error += _square(decoded - dense)
        self.norm += float(products.trace())
        self.inner_error += _square(approximate - products)
        self.inner += _square(products)
        pairs = torch.ones_like(products).triu(1).bool()
        true_distances, distances = (
            _distances(matrix)[pairs] for matrix in (products, approximate)
        )
        distinct = true_distances > 0
        self._distance_errors.append(distances[distinct] / true_distances[distinct] - 1)

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

    Distances of similar gradients are small differences of these products.
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


class MeasuredTable(GradientTable):
    """A compressed table that adds up the errors of each step the first time it is read."""

    def __init__(
        self, table: CompressedTable, dense: DenseTable, products: Sequence[Tensor]
    ) -> None:
        """Compare `table` with `dense`, whose inner products at each step are `products` (U, U)."""
        self._table, self._dense, self._products = table, dense, products
        self._recent: dict[int, Tensor] = {}  # the last two steps, which interpolation reads again
        self.squares = Squares()

    def at(self, t: int) -> Tensor:
        """Return the decoded gradients (U, P) in row `t`; rows must be read in sequence."""
        if t not in self._recent:
            while len(self._recent) > 1:
                self._recent.pop(next(iter(self._recent)))
            decoded, features = self._table.at(t), self._table.features(t)
            self.squares.add(self._dense.at(t), self._products[t], decoded, features)
            self._recent[t] = decoded
        return self._recent[t]


@dataclass(frozen=True)
class Interpolated(GradientTable):
    """A table whose rows are anchors, with linear interpolation between them."""

    table: GradientTable
    anchors: np.ndarray

    def at(self, t: int) -> Tensor:
        """Return the gradients (U, P) at step `t`."""
        return interpolated(self.anchors, t, self.table.at)


@dataclass(frozen=True)
class Replays:
    """Final parameters (O, P) of the replayed orders, and their held-out losses (O,)."""

    parameters: Tensor
    losses: np.ndarray


def compare_codecs(
    problem: LanguageProblem, expansion: Expansion, orders: Sequence[Order]
) -> dict[str, Any]:
    """Return the content of `stores.json`: each codec against the table of `expansion`.

    The first `ORDERS` orders except the reference are replayed with `order0` from every compressed
    table and from the dense table. The codecs encode the anchors of the table, which are all steps
    by default. A table of more than `LARGEST_BYTES` is compared over its first steps. If even two
    anchors are larger than that, `stores` is empty.

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
    dense = DenseTable.read(_table(expansion), anchors.tolist())
    chosen = [order for order in orders if order.split != "reference"][:ORDERS]
    schedules = torch.from_numpy(np.stack([order.schedule[:steps] for order in chosen]))
    comparison = _Comparison(problem, expansion, dense, anchors, schedules)
    return {
        **shape,
        "orders": [order.name for order in chosen],
        "displacement": float(comparison.displacement.mean()),
        "loss_spread": comparison.spread,
        "stores": [comparison.record(codec) for codec in all_codecs(dense.shape)],
    }


def _table(expansion: Expansion) -> GradientTable:
    if expansion.table is None:
        raise ValueError("the expansion has no gradient table; open it with its table")
    return expansion.table


class _Comparison:
    """What every codec is compared with: the dense table, and replays from it."""

    def __init__(
        self,
        problem: LanguageProblem,
        expansion: Expansion,
        dense: DenseTable,
        anchors: np.ndarray,
        schedules: Tensor,
    ) -> None:
        self.problem, self.expansion = problem, expansion
        self.dense, self.anchors, self.schedules = dense, anchors, schedules
        self.products = [gram(rows) for rows in dense.gradient]
        self.exact = self._replayed(dense)
        origin = expansion.path.parameters(schedules.shape[1])
        self.displacement = (self.exact.parameters - origin).norm(dim=1)
        losses = self.exact.losses
        self.spread = float(np.std(losses, ddof=1)) if len(losses) > 1 else None

    def record(self, codec: Codec) -> dict[str, Any]:
        """Return the entry of one codec in `stores`."""
        label = f"{codec.name}, {codec.size}" + (f", {codec.read}" if codec.read else "")
        with self.problem.meter.time(f"encode {label}"):
            table = compressed(codec, self.dense)
            estimate = codec.estimate(self.dense, table.arrays)
        measured = MeasuredTable(table, self.dense, self.products)
        with self.problem.meter.time(f"replay {label}"):
            replays = self._replayed(measured)
        parameter_errors = (replays.parameters - self.exact.parameters).norm(
            dim=1
        ) / self.displacement
        loss_error = finite(float(np.abs(replays.losses - self.exact.losses).mean()))
        relative = loss_error / self.spread if loss_error is not None and self.spread else None
        return {
            "store": codec.name,
            "size": codec.size,
            "read": codec.read or None,
            "bytes": table.bytes,
            "ratio": byte_count({"gradient": self.dense.gradient}) / table.bytes,
            "streaming_bytes": codec.streaming_bytes(table.arrays),
            **measured.squares.as_dict(),
            "estimated_table_error": asdict(estimate) if estimate else None,
            "parameter_error": finite(float(parameter_errors.mean())),
            "loss_error": loss_error,
            "loss_error_over_spread": relative,
        }

    def _replayed(self, table: GradientTable) -> Replays:
        """Replay every order from the rows of `table`, which are its anchors."""
        interpolated_table = Interpolated(table, self.anchors)
        estimator = Order0(replace(self.expansion, table=interpolated_table))
        parameters = estimator.replay(self.schedules, lambda t, theta: None)
        losses = np.array([self.problem.evaluate(row)[0] for row in parameters])
        return Replays(parameters, losses)

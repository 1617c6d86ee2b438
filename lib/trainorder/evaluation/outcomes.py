"""Reads the shards of true and estimated outcomes and checks that they fit together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainorder.config.methods import FITTED_METHODS
from trainorder.errors import UserError
from trainorder.orders.order import FIT, REFERENCE
from trainorder.storage import sealed_hdf5 as store
from trainorder.storage.formats import read_json

Floats = NDArray[np.float64]
_TRUE = ("train_loss", "along", "unit_loss")  # what only real training gives
SPLITS = ("calibration", "random", "structured", "custom")  # that estimates are scored on


@dataclass(frozen=True)
class Outcomes:
    """What became of O orders, true or estimated; orders stand as in `orders.json`.

    Attributes:
        orders: O names.
        metrics: M names.
        value: (O, M) metrics in nats per token.
        sketch: (O, k) sketches of the final parameters.
        trajectories: (T+1, k) sketches of the parameters along the window, by order.
        train_loss: (O, T) loss of each step's units before the step; empty for estimates.
        along: (O, R, M) metrics after each of the readouts, the last of them the end; as above.
        unit_loss: (O, U) final losses of the units that an order is about, else NaN; as above.

    """

    orders: list[str]
    metrics: list[str]
    value: Floats
    sketch: Floats
    trajectories: dict[str, Floats]
    train_loss: Floats
    along: Floats
    unit_loss: Floats

    def rows(self, orders: Iterable[str]) -> NDArray[np.intp]:
        """Return the row of each of `orders`."""
        position = {name: row for row, name in enumerate(self.orders)}
        return np.array([position[name] for name in orders], dtype=np.intp)


def read_order_records(path: str | Path) -> dict[str, dict[str, Any]]:
    """Return the records of `orders.json` by order name.

    Raises:
        UserError: the file is unreadable, lacks a field, names an order twice or has no reference.

    """
    try:
        records = read_json(path, "orders")["orders"]
        found = {record["name"]: record for record in records}
        splits = {record["split"] for record in records}
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not a list of orders ({error}); rerun rule `orders`") from None
    if len(found) < len(records):
        raise UserError(f"{path}: an order is named twice; rerun rule `orders`")
    if unknown := sorted(splits - {*SPLITS, FIT, REFERENCE}):
        raise UserError(f"{path}: unknown split `{unknown[0]}`; rerun rule `orders`")
    if REFERENCE not in found:
        raise UserError(f"{path}: has no order named `{REFERENCE}`; rerun rule `orders`")
    return found


def read_truth(
    files: Sequence[str | Path], key: str | None, orders: Iterable[str], rule: str = "truth"
) -> Outcomes:
    """Join the truth shards, of the study's model or of its proxy.

    Args:
        files: the shards, in any order.
        key: the study key they must carry; None takes any.
        orders: every order of the study; each must have its truth.
        rule: the rule that makes the shards, named in errors.

    Raises:
        UserError: a shard is missing, damaged or does not fit, or an order has no truth.

    """
    names = list(orders)
    shards = [_Shard.read(path, key, rule, estimated=False) for path in files]
    truth = _join(shards, names)
    if missing := sorted(set(names) - set(truth.orders)):
        where = Path(files[0]).parent if files else "truth"
        raise UserError(f"{where}: no truth of order `{missing[0]}`; rerun rule `{rule}`")
    return truth


def read_estimates(
    files: Sequence[str | Path],
    key: str | None,
    orders: Iterable[str],
    names: Sequence[str],
    truth: Outcomes,
) -> dict[str, Outcomes]:
    """Join the estimate shards of each estimator; metrics are brought into the truth's order.

    Args:
        files: the shards of all estimators, in any order.
        key: the study key they must carry; None takes any.
        orders: every order of the study.
        names: the estimators of the configuration.
        truth: the joined truth.

    Returns:
        The outcomes of each estimator, in the order of `names`.

    Raises:
        UserError: a shard is missing, damaged or does not fit.

    """
    known = list(orders)
    grouped: dict[str, list[_Shard]] = {name: [] for name in names}
    for path in files:
        rule = _estimating_rule(Path(path).parent.name)
        shard = _Shard.read(path, key, rule, estimated=True)
        if shard.estimator not in grouped:
            raise UserError(f"{path}: unknown estimator `{shard.estimator}`; {_remedy(rule)}")
        shard.check_against(truth)
        grouped[shard.estimator].append(shard)
    for name, shards in grouped.items():
        if not shards:
            rule = _estimating_rule(name)
            raise UserError(f"estimates/{name}: no shard; rerun rule `{rule}`")
    return {name: _join(shards, known, truth.metrics) for name, shards in grouped.items()}


def _estimating_rule(estimator: str) -> str:
    if estimator.startswith("reduced@"):
        return "predict"
    return estimator if estimator in FITTED_METHODS else "estimate"


def _remedy(rule: str) -> str:
    return f"delete it and rerun rule `{rule}`"


@dataclass(frozen=True)
class _Shard:
    path: Path
    rule: str
    estimator: str
    arrays: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path, key: str | None, rule: str, estimated: bool) -> "_Shard":
        arrays: dict[str, Any] = {}
        with store.opened(path, key, rule) as file:
            for name in ("order", "metric", "trajectory_order"):
                arrays[name] = [str(text) for text in file[name].asstr()[()]]
            for name in ("value", "sketch", "trajectory", *(() if estimated else _TRUE)):
                arrays[name] = np.asarray(file[name][()], dtype=np.float64)
            estimator = str(file.attribute("estimator")) if estimated else ""
        shard = cls(Path(path), rule, estimator, arrays)
        shard._check_shapes()
        return shard

    def error(self, what: str) -> UserError:
        return UserError(f"{self.path}: {what}; {_remedy(self.rule)}")

    def _check_shapes(self) -> None:
        orders, metrics = len(self.arrays["order"]), len(self.arrays["metric"])
        if self.arrays["value"].shape != (orders, metrics):
            raise self.error(f"value is not {orders} orders x {metrics} metrics")
        if "heldout" not in self.arrays["metric"]:
            raise self.error("has no metric `heldout`")
        if len(set(self.arrays["metric"])) < metrics:
            raise self.error("a metric is named twice")
        for name in ("sketch", *_TRUE):
            if name in self.arrays and self.arrays[name].shape[:1] != (orders,):
                raise self.error(f"{name} does not have a row for each of {orders} orders")
        if self.arrays["trajectory"].shape[:1] != (len(self.arrays["trajectory_order"]),):
            raise self.error("trajectory does not have an entry for each of its orders")

    def check_against(self, truth: Outcomes) -> None:
        if set(self.arrays["metric"]) != set(truth.metrics):
            odd = sorted(set(self.arrays["metric"]) ^ set(truth.metrics))[0]
            raise self.error(f"metric `{odd}` is not in both truth and estimates")
        rows = truth.sketch.shape[1]
        if len(self.arrays["order"]) and self.arrays["sketch"].shape[1:] != (rows,):
            raise self.error(f"sketches do not have the {rows} rows of the truth's")


def _join(
    shards: Sequence[_Shard], orders: Sequence[str], metrics: Sequence[str] | None = None
) -> Outcomes:
    """Join shards into one; rows follow `orders`, columns `metrics` (default: first shard's)."""
    if not shards:
        raise UserError("truth: no shard; rerun rule `truth`")
    wanted = list(metrics if metrics is not None else shards[0].arrays["metric"])
    rows = _where(shards, "order", set(orders))
    present = [name for name in orders if name in rows]
    columns = [_columns(shard, wanted) for shard in shards]

    found = [rows[name] for name in present]

    def gather(field: str) -> Floats:
        parts = [shards[s].arrays[field][r] for s, r in found]
        if len({part.shape for part in parts}) > 1:
            raise shards[-1].error(f"{field} has another width than in the other shards")
        return np.stack(parts) if parts else np.empty((0, 0))

    value = [shards[s].arrays["value"][r][columns[s]] for s, r in found]
    followed = _where(shards, "trajectory_order", set(orders))
    true = "train_loss" in shards[0].arrays
    return Outcomes(
        orders=present,
        metrics=wanted,
        value=np.array(value, dtype=np.float64).reshape(len(present), len(wanted)),
        sketch=gather("sketch"),
        trajectories={
            name: shards[followed[name][0]].arrays["trajectory"][followed[name][1]]
            for name in orders
            if name in followed
        },
        train_loss=gather("train_loss") if true else np.empty((0, 0)),
        along=np.stack([shards[s].arrays["along"][r][:, columns[s]] for s, r in found])
        if true and found
        else np.empty((0, 0, 0)),
        unit_loss=gather("unit_loss") if true else np.empty((0, 0)),
    )


def _where(shards: Sequence[_Shard], field: str, known: set[str]) -> dict[str, tuple[int, int]]:
    """Return (shard, row) of each order; an unknown or a repeated one is an error."""
    found: dict[str, tuple[int, int]] = {}
    for number, shard in enumerate(shards):
        for row, name in enumerate(shard.arrays[field]):
            if name not in known:
                raise shard.error(f"unknown order `{name}`")
            if name in found:
                first = shards[found[name][0]].path
                raise shard.error(f"order `{name}` is also in {first}")
            found[name] = (number, row)
    return found


def _columns(shard: _Shard, metrics: Sequence[str]) -> list[int]:
    names = shard.arrays["metric"]
    if set(names) != set(metrics):
        odd = sorted(set(names) ^ set(metrics))[0]
        raise shard.error(f"metric `{odd}` is not in every shard")
    return [names.index(name) for name in metrics]

"""What an outcome is, and how outcome files are read and joined.

An outcome is what training in an order gives: true (by real retraining) or estimated. An outcome
file (`truth/*.h5`, `estimates/<estimator>/*.h5`) holds, for O orders, M metrics and sketches of k
rows:

* `order` (O,) and `metric` (M,): names;
* `value` (O, M) float64: metrics at the end of the window, in nats per token; if the study has
  `averaged_states`, then those of the averaged weights; if it has `multiple_choice`, then those of
  the task, which are NaN for an estimator that gives losses only;
* `sketch` (O, k): sketches of the final parameters;
* `trajectory_order` (n,): names of the followed orders, and `trajectory` (n, T+1, k): sketches of
  their parameters before each step and at the end; `stepwise` (n, T+1, L) float64: their first L
  metrics at the same steps, those of the last weights, or none (L = 0) without `stepwise_losses`;
* only after real retraining: `train_loss` (O, T); `along` (O, R, M), the metrics after each of R
  readouts, the last one at the end; and `unit_loss` (O, U), the final losses of the units that an
  order is about (NaN for all other units).

Each file holds the orders of one job (a shard).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainorder.config.estimator_names import method_of
from trainorder.data.metrics import MAIN_METRIC
from trainorder.errors import UserError
from trainorder.orders.order import CALIBRATION, FIT, HELD_BACK, REFERENCE
from trainorder.orders.order_book import read_records
from trainorder.storage import sealed_hdf5 as store

Floats = NDArray[np.float64]
SCORED_SPLITS = (CALIBRATION, HELD_BACK, "structured", "custom")
_ONLY_TRUE = ("train_loss", "along", "unit_loss")  # fields that estimates do not have


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of O orders, true or estimated, in the sequence of `orders.json`.

    Attributes:
        orders: O names.
        metrics: M names.
        value: (O, M) metrics at the end of the window, in nats per token.
        sketch: (O, k) sketches of the final parameters.
        trajectories: (T+1, k) sketches of the parameters along the window, by order.
        train_loss: (O, T) loss of each step's units before the step; empty for estimates.
        along: (O, R, M) metrics after each readout, the last one at the end; empty for estimates.
        unit_loss: (O, U) final losses of the units that an order is about, NaN for other units;
            empty for estimates.
        stepwise: metrics (T+1, L) before each step and at the end, by followed order; L is 0
            without `stepwise_losses`, else the number of metrics of the last weights.

    """

    orders: list[str]
    metrics: list[str]
    value: Floats
    sketch: Floats
    trajectories: dict[str, Floats]
    train_loss: Floats
    along: Floats
    unit_loss: Floats
    stepwise: Mapping[str, Floats] = field(default_factory=dict)

    @classmethod
    def estimated(cls, arrays: Mapping[str, Any], metrics: Sequence[str]) -> "Outcomes":
        """Return the estimates in the arrays of an outcome file, with the columns `metrics`.

        A metric that the file does not have is NaN.
        """
        estimated = np.asarray(arrays["value"], np.float64)
        value = np.full((len(estimated), len(metrics)), np.nan)
        for column, metric in enumerate(metrics):
            if metric in arrays["metric"]:
                value[:, column] = estimated[:, arrays["metric"].index(metric)]
        return cls(
            orders=list(arrays["order"]),
            metrics=list(metrics),
            value=value,
            sketch=np.asarray(arrays["sketch"], np.float64),
            trajectories={},
            train_loss=np.empty((0, 0)),
            along=np.empty((0, 0, 0)),
            unit_loss=np.empty((0, 0)),
        )

    def rows(self, orders: Iterable[str]) -> NDArray[np.intp]:
        """Return the row of each of `orders`."""
        position = {name: row for row, name in enumerate(self.orders)}
        return np.array([position[name] for name in orders], dtype=np.intp)


def read_order_records(path: str | Path) -> dict[str, dict[str, Any]]:
    """Return the records of `orders.json` by order name.

    Raises:
        UserError: the file is unreadable, lacks a field, has a duplicate name or no reference.

    """
    try:
        by_name = read_records(path)
        splits = {record["split"] for record in by_name.values()}
    except KeyError as error:
        raise UserError(f"{path}: not a list of orders ({error!r}); rerun rule `orders`") from None
    if unknown := sorted(splits - {*SCORED_SPLITS, FIT, REFERENCE}):
        raise UserError(f"{path}: unknown split `{unknown[0]}`; rerun rule `orders`")
    if REFERENCE not in by_name:
        raise UserError(f"{path}: contains no order named `{REFERENCE}`; rerun rule `orders`")
    return by_name


def read_truth(
    files: Sequence[str | Path], key: str | None, orders: Iterable[str], rule: str = "truth"
) -> Outcomes:
    """Return the joined truth shards of the study's model, or of its proxy.

    Args:
        files: the shards, in any sequence.
        key: the study key that they must carry; None accepts any.
        orders: names of all orders of the study; each must have a truth.
        rule: the rule that writes the shards, named in errors.

    Raises:
        UserError: a shard is missing, damaged or does not fit, or an order has no truth.

    """
    names = list(orders)
    shards = [_Shard.read(path, key, rule, estimated=False) for path in files]
    truth = _join(shards, names)
    if missing := sorted(set(names) - set(truth.orders)):
        where = Path(files[0]).parent if files else "truth"
        raise UserError(f"{where}: order `{missing[0]}` has no true outcome; rerun rule `{rule}`")
    return truth


def read_estimates(
    files: Sequence[str | Path],
    key: str | None,
    orders: Iterable[str],
    names: Sequence[str],
    truth: Outcomes,
) -> dict[str, Outcomes]:
    """Return the joined estimate shards of each estimator, with the columns of the truth.

    Args:
        files: the shards of all estimators, in any sequence.
        key: the study key that they must carry; None accepts any.
        orders: names of all orders of the study.
        names: the estimators of the configuration.
        truth: the joined truth.

    Returns:
        The outcomes of each estimator, in the sequence of `names`.

    Raises:
        UserError: a shard is missing, damaged or does not fit.

    """
    order_names = list(orders)
    grouped: dict[str, list[_Shard]] = {name: [] for name in names}
    for path in files:
        rule = _writer(Path(path))
        shard = _Shard.read(path, key, rule, estimated=True)
        if shard.estimator not in grouped:
            raise UserError(f"{path}: unknown estimator `{shard.estimator}`; {_remedy(rule)}")
        shard.check_against(truth)
        grouped[shard.estimator].append(shard)
    for name, shards in grouped.items():
        if not shards:
            rule = method_of(name).rule
            raise UserError(f"estimates/{name}: no estimate shard; rerun rule `{rule}`")
    return {name: _join(shards, order_names, truth.metrics) for name, shards in grouped.items()}


def _writer(path: Path) -> str:
    """Return the rule that writes an estimate shard."""
    return "ladder" if path.stem == "calibration" else method_of(path.parent.name).rule


def _remedy(rule: str) -> str:
    return f"delete it and rerun rule `{rule}`"


@dataclass(frozen=True)
class _Shard:
    """One outcome file.

    Attributes:
        path: of the file.
        rule: the rule that writes it.
        estimator: its estimator; empty for a truth.
        arrays: its fields, see the module docstring.

    """

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
            always = ("value", "sketch", "trajectory", "stepwise")
            for name in (*always, *(() if estimated else _ONLY_TRUE)):
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
            raise self.error(f"`value` does not have {orders} orders x {metrics} metrics")
        if MAIN_METRIC not in self.arrays["metric"]:
            raise self.error("contains no metric `heldout`")
        if len(set(self.arrays["metric"])) < metrics:
            raise self.error("contains a duplicate metric name")
        for name in ("sketch", *_ONLY_TRUE):
            if name in self.arrays and self.arrays[name].shape[:1] != (orders,):
                raise self.error(f"`{name}` does not have one row for each of {orders} orders")
        for name in ("trajectory", "stepwise"):
            if self.arrays[name].shape[:1] != (len(self.arrays["trajectory_order"]),):
                raise self.error(f"`{name}` does not have one entry for each followed order")

    def check_against(self, truth: Outcomes) -> None:
        if set(self.arrays["metric"]) != set(truth.metrics):
            name = sorted(set(self.arrays["metric"]) ^ set(truth.metrics))[0]
            raise self.error(f"metric `{name}` is missing in the truth or in the estimates")
        rows = truth.sketch.shape[1]
        if len(self.arrays["order"]) and self.arrays["sketch"].shape[1:] != (rows,):
            raise self.error(f"its sketches do not have {rows} rows, as those of the truth have")


def _join(
    shards: Sequence[_Shard], orders: Sequence[str], metrics: Sequence[str] | None = None
) -> Outcomes:
    """Join shards into one; rows follow `orders`, columns `metrics` (default: first shard's)."""
    if not shards:
        raise UserError("truth: no truth shard; rerun rule `truth`")
    names = list(metrics if metrics is not None else shards[0].arrays["metric"])
    columns = [_columns(shard, names) for shard in shards]
    place = _places(shards, "order", set(orders))  # (shard, row) of each order
    present = [name for name in orders if name in place]
    rows = [place[name] for name in present]

    def gather(field: str) -> Floats:
        parts = [shards[shard].arrays[field][row] for shard, row in rows]
        if len({part.shape for part in parts}) > 1:
            raise shards[-1].error(f"the width of `{field}` differs from that in the other shards")
        return np.stack(parts) if parts else np.empty((0, 0))

    def gather_metrics(field: str, empty: tuple[int, ...]) -> Floats:
        parts = [shards[shard].arrays[field][row][..., columns[shard]] for shard, row in rows]
        return np.stack(parts) if parts else np.empty(empty)

    followed = _places(shards, "trajectory_order", set(orders))
    stepwise, trajectories = {}, {}
    for name in filter(followed.__contains__, orders):
        shard, row = followed[name]
        trajectories[name] = shards[shard].arrays["trajectory"][row]
        along = shards[shard].arrays["stepwise"][row]
        stepwise[name] = along[:, [column for column in columns[shard] if column < along.shape[1]]]
    is_true = "train_loss" in shards[0].arrays
    return Outcomes(
        orders=present,
        metrics=names,
        value=gather_metrics("value", (0, len(names))),
        sketch=gather("sketch"),
        trajectories=trajectories,
        train_loss=gather("train_loss") if is_true else np.empty((0, 0)),
        along=gather_metrics("along", (0, 0, 0)) if is_true else np.empty((0, 0, 0)),
        unit_loss=gather("unit_loss") if is_true else np.empty((0, 0)),
        stepwise=stepwise,
    )


def _places(shards: Sequence[_Shard], field: str, known: set[str]) -> dict[str, tuple[int, int]]:
    """Return (shard, row) of each order; an unknown or a duplicate order raises."""
    places: dict[str, tuple[int, int]] = {}
    for number, shard in enumerate(shards):
        for row, name in enumerate(shard.arrays[field]):
            if name not in known:
                raise shard.error(f"unknown order `{name}`")
            if name in places:
                first = shards[places[name][0]].path
                raise shard.error(f"order `{name}` is also in {first}")
            places[name] = (number, row)
    return places


def _columns(shard: _Shard, metrics: Sequence[str]) -> list[int]:
    """Return the column of each of `metrics` in a shard."""
    names = shard.arrays["metric"]
    if set(names) != set(metrics):
        name = sorted(set(names) ^ set(metrics))[0]
        raise shard.error(f"metric `{name}` is not in every shard")
    return [names.index(name) for name in metrics]

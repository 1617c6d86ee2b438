"""The result files of a study as the figures need them."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.errors import UserError
from trainorder.storage.formats import read_csv, read_json
from trainorder.storage.sealed_hdf5 import read_arrays

REFERENCE = "reference"
CHECKSUMS = "SHA256SUMS"  # of the result files, in a study that was unpacked from an archive
DISTRUSTED = ("not trusted", "not calibrated")  # verdicts that go wherever an estimator is named
# What the figure of the stores reads of `stores.json`, and of each store in it.
_STORES = {"path", "steps", "window_steps", "dense_bytes", "published_ratio", "loss_spread"}
_STORE = {"store", "read", "bytes", "ratio", "table_error", "estimated_table_error"}


@dataclass(frozen=True)
class Point:
    """An estimated order: its split, its estimate and its truth in nats per token."""

    order: str
    split: str
    estimated: float
    true: float


@dataclass(frozen=True)
class Results:
    """What a study found.

    Attributes:
        validation: content of `validation.json`.
        costs: content of `costs.json`.
        orders: records of `orders.json` by order name.
        truth: true value by order and metric.
        estimates: estimated value by estimator, order and metric.
        flagged: 1 where an estimate is beyond the calibrated range, else 0 (NaN without a range),
            by estimator, order and metric.
        trajectories: parameter error by estimator, order and step.
        stores: content of `stores.json`, or None where no stores were compared.
        curriculum: content of `curriculum.json`, or None where no orders were searched for.
        memorization: content of `memorization.json`, or None where no maps were made.
        maps: (U, T) arrays of `memorization.h5`, or None.
        replicates: content of `replicates.json`, or None where nothing was replicated.

    """

    validation: Mapping[str, Any]
    costs: Mapping[str, Any]
    orders: Mapping[str, Mapping[str, Any]]
    truth: Mapping[str, Mapping[str, float]]
    estimates: Mapping[str, Mapping[str, Mapping[str, float]]]
    flagged: Mapping[str, Mapping[str, Mapping[str, float]]]
    trajectories: Mapping[str, Mapping[str, Mapping[int, float]]]
    stores: Mapping[str, Any] | None = None
    curriculum: Mapping[str, Any] | None = None
    memorization: Mapping[str, Any] | None = None
    maps: Mapping[str, np.ndarray] | None = None
    replicates: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, folder: str | Path) -> "Results":
        """Read the result files in `folder`.

        Raises:
            UserError: a file is missing or not in the form that `docs/results.md` describes.

        """
        folder = Path(folder)
        truth = _nested(folder / "truth.csv", "value", "order", "metric")
        estimates = _nested(folder / "estimates.csv", "value", "estimator", "order", "metric")
        flagged = _nested(
            folder / "estimates.csv", "beyond", "estimator", "order", "metric", number=_flag
        )
        trajectories = _nested(
            folder / "trajectories.csv", "parameter_error", "estimator", "order", "step"
        )
        orders = read_json(folder / "orders.json")["orders"]
        return cls(
            validation=read_json(folder / "validation.json"),
            costs=read_json(folder / "costs.json"),
            orders={record["name"]: record for record in orders},
            truth=truth,
            estimates=estimates,
            flagged=flagged,
            trajectories={
                estimator: {
                    order: {int(step): error for step, error in along.items()}
                    for order, along in followed.items()
                }
                for estimator, followed in trajectories.items()
            },
            stores=_stores(folder / "stores.json"),
            curriculum=_optional(folder / "curriculum.json", "curriculum"),
            memorization=_optional(folder / "memorization.json", "memorization"),
            maps=_maps(folder / "memorization.h5"),
            replicates=_optional(folder / "replicates.json", "replicates"),
        )

    @property
    def estimators(self) -> list[str]:
        """Names of the estimators in the order of the configuration."""
        return list(self.validation["estimators"])

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, `heldout` first."""
        return list(self.validation["metrics"])

    def score(self, estimator: str) -> Mapping[str, Any]:
        """Return an estimator's entry of `validation.json`.

        Raises:
            UserError: the study has no estimator of that name.

        """
        scores: Mapping[str, Mapping[str, Any]] = self.validation["estimators"]
        if estimator not in scores:
            raise UserError(f"no estimator `{estimator}`; this study has {', '.join(scores)}")
        return scores[estimator]

    def caption(self, estimator: str) -> str:
        """Return an estimator's name, followed by its verdict where that warns against it."""
        warning = self.warning(estimator)
        return f"{estimator} ({warning})" if warning else estimator

    def warning(self, estimator: str) -> str:
        """Return an estimator's verdict where that warns against it, else nothing."""
        verdict = str(self.score(estimator)["verdict"])
        return verdict if verdict in DISTRUSTED else ""

    def beyond(self, estimator: str, metric: str = "heldout") -> frozenset[str]:
        """Return the orders whose estimate is beyond the calibrated range."""
        found = self.flagged.get(estimator, {})
        return frozenset(order for order, flags in found.items() if flags[metric] == 1)

    def split(self, order: str) -> str:
        """Return the split of an order."""
        return str(self.orders[order]["split"])

    def points(self, estimator: str, metric: str = "heldout") -> list[Point]:
        """Return estimated and true value of each order but the reference."""
        found = self.estimates.get(estimator, {})
        return [
            Point(order, self.split(order), values[metric], self.truth[order][metric])
            for order, values in found.items()
            if order != REFERENCE
        ]

    def diverged(self, estimator: str) -> frozenset[str]:
        """Return the orders on which an estimator diverged."""
        return frozenset(self.score(estimator)["diverged"]["orders"])

    def label(self, what: str = "") -> str:
        """Return the line under each figure: study and verdict, model, window, seeds, orders."""
        provenance = self.validation["provenance"]
        seeds = ", ".join(f"{name} {seed}" for name, seed in provenance["seeds"].items())
        counts = ", ".join(
            f"{n} {split}" for split, n in self.validation["orders"].items() if split != REFERENCE
        )
        parts = [
            f"study {self.validation['study']}, verdict {self.validation['verdict']}",
            f"{_size(self.validation['parameters'])} parameters",
            f"T = {self.steps} steps",
            f"seeds {seeds}",
            f"n = {counts} orders",
        ]
        first = " · ".join(parts)
        return f"{first}\n{what}" if what else first

    @property
    def steps(self) -> int:
        """T, the number of steps in the window."""
        return len(self.orders[REFERENCE]["schedule"])


def _size(parameters: int) -> str:
    for unit, scale in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if parameters >= scale:
            return f"{parameters / scale:.3g} {unit}"
    return str(parameters)


def _flag(text: str) -> float:
    """Return 0 or 1, or NaN for an empty cell."""
    return float(text) if text else math.nan


def _optional(path: Path, rule: str) -> Mapping[str, Any] | None:
    """Read what only some studies have."""
    return read_json(path, rule) if path.exists() else None


def _maps(path: Path) -> Mapping[str, np.ndarray] | None:
    return read_arrays(path, None, "memorization") if path.exists() else None


def _stores(path: Path) -> Mapping[str, Any] | None:
    """Read `stores.json`, if the study has one."""
    if not path.exists():
        return None
    content = read_json(path, "stores")
    try:
        complete = content.keys() >= {*_STORES, "orders", "stores"} and all(
            record.keys() >= {*_STORE, "parameter_error", "loss_error"}
            for record in content["stores"]
        )
    except (AttributeError, TypeError):
        complete = False
    if not complete:
        raise UserError(f"{path}: not as written; rerun rule `stores`")
    found: Mapping[str, Any] = content
    return found


def _nested(
    path: Path, value: str, *keys: str, number: Callable[[str], float] = float
) -> dict[str, Any]:
    """Read a CSV into dictionaries of its key columns, one inside the other."""
    result: dict[str, Any] = {}
    for row in read_csv(path):
        try:
            place = result
            for key in keys[:-1]:
                place = place.setdefault(row[key], {})
            place[row[keys[-1]]] = number(row[value])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: not as written ({error}); rerun rule `validate`") from None
    return result


def finite(values: Iterable[float]) -> list[float]:
    """Return the finite ones of `values`."""
    return [value for value in values if math.isfinite(value)]

"""The results of a finished study, read from its result files."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.data.metrics import AVERAGED, CHOICE_METRICS, MAIN_METRIC
from trainorder.errors import UserError
from trainorder.evaluation import result_files
from trainorder.evaluation.predictability import Predictability, number_text
from trainorder.evaluation.recalibration import Recalibration
from trainorder.evaluation.result_files import RESIDUAL_STORE_FIELDS, STORE_FIELDS, ResultFile
from trainorder.evaluation.run_verification import verification_text
from trainorder.evaluation.verdict import NOT_CALIBRATED, NOT_TRUSTED
from trainorder.orders.order import CALIBRATION, FIT, HELD_BACK, REFERENCE
from trainorder.orders.order_book import read_records
from trainorder.storage.formats import read_csv, read_json
from trainorder.storage.sealed_hdf5 import read_arrays

# By estimator, order, metric and step: the estimated and the true loss.
Stepwise = Mapping[str, Mapping[str, Mapping[str, Mapping[int, tuple[float, float]]]]]
# What figures and report call the splits of random orders.
SPLIT_WORDS = {CALIBRATION: "calibration", HELD_BACK: "held-back", FIT: "fit"}
WARNING_VERDICTS = (NOT_TRUSTED, NOT_CALIBRATED)  # shown wherever such an estimator is named


@dataclass(frozen=True)
class Point:
    """One order with its split, and its estimated and true metric in nats per token.

    `estimated` is recalibrated; `raw` is the estimate before that, which ranks orders.
    """

    order: str
    split: str
    estimated: float
    true: float
    raw: float


@dataclass(frozen=True)
class Results:
    """The results of one study.

    Attributes:
        validation: content of `validation.json`.
        costs: content of `costs.json`.
        orders: records of `orders.json` by order name.
        truth: true value by order and metric.
        estimates: recalibrated estimate by estimator, order and metric.
        raw: raw estimate by estimator, order and metric.
        flagged: 1 where an estimate is beyond the calibrated range, else 0 (NaN without a range),
            by estimator, order and metric.
        trajectories: parameter error by estimator, order and step.
        stepwise: estimated and true metrics of the followed orders at each step, by estimator,
            order, metric and step; None if the study did not take them.
        ladder: content of `ladder.json`; None if every estimator of the study has its size.
        ranks: content of `probes.json` by expansion path, where ranks were tried; None if none was.
        stores: content of `stores.json`; None if the study compared no stores of the table.
        curriculum: content of `curriculum.json`; None if the study searched for no orders.
        memorization: content of `memorization.json`; None if the study has no memorization maps.
        maps: (U, T) arrays of `memorization.h5`, or None.
        replicates: content of `replicates.json`; None if the study has no replicates.

    """

    validation: Mapping[str, Any]
    costs: Mapping[str, Any]
    orders: Mapping[str, Mapping[str, Any]]
    truth: Mapping[str, Mapping[str, float]]
    estimates: Mapping[str, Mapping[str, Mapping[str, float]]]
    raw: Mapping[str, Mapping[str, Mapping[str, float]]]
    flagged: Mapping[str, Mapping[str, Mapping[str, float]]]
    trajectories: Mapping[str, Mapping[str, Mapping[int, float]]]
    stepwise: Stepwise | None = None
    ladder: Mapping[str, Any] | None = None
    ranks: Mapping[str, Mapping[str, Any]] | None = None
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
        estimates, trajectories = result_files.ESTIMATES, result_files.TRAJECTORIES
        by_estimator = ("estimator", "order", "metric")
        return cls(
            validation=_content(result_files.VALIDATION, folder),
            costs=_content(result_files.COSTS, folder),
            orders=read_records(result_files.ORDERS.path(folder)),
            truth=_nested(result_files.TRUTH, folder, "value", ("order", "metric")),
            estimates=_nested(estimates, folder, "value", by_estimator),
            raw=_nested(estimates, folder, "raw", by_estimator),
            flagged=_nested(estimates, folder, "beyond", by_estimator, number=_flag),
            trajectories={
                estimator: {
                    order: {int(step): error for step, error in errors.items()}
                    for order, errors in by_order.items()
                }
                for estimator, by_order in _nested(
                    trajectories, folder, "parameter_error", ("estimator", "order", "step")
                ).items()
            },
            stepwise=_stepwise(folder),
            ladder=_content_if_present(result_files.LADDER, folder),
            ranks=_ranks(folder),
            stores=_stores(folder),
            curriculum=_content_if_present(result_files.CURRICULUM, folder),
            memorization=_content_if_present(result_files.MEMORIZATION, folder),
            maps=_maps(folder),
            replicates=_content_if_present(result_files.REPLICATES, folder),
        )

    @property
    def estimators(self) -> list[str]:
        """Names of the estimators, in the sequence of the configuration."""
        return list(self.validation["estimators"])

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics, `heldout` first."""
        return list(self.validation["metrics"])

    @property
    def shown_metrics(self) -> list[str]:
        """The metrics of a figure with a panel for each: of secondary ones only the mean."""
        secondary = tuple(f"{name}/" for name in (f"{AVERAGED}heldout", *CHOICE_METRICS))
        return [metric for metric in self.metrics if not metric.startswith(secondary)]

    @property
    def poisoned(self) -> list[Mapping[str, Any]] | None:
        """The retrained effects of poisoned units; None if the study has none."""
        return (self.memorization or {}).get("poisoned") or None

    @property
    def existing_run(self) -> str | None:
        """How much of an existing run is verified, in words; None if the study has no such run."""
        intervals = self.validation.get("existing_run")  # absent in studies of older versions
        return verification_text(intervals) if intervals else None

    @property
    def predictability(self) -> Predictability:
        """How predictable the training is.

        Raises:
            UserError: the study was made by a version that did not measure it.

        """
        return Predictability.of(self.validation.get("predictability"))

    def score(self, estimator: str) -> Mapping[str, Any]:
        """Return an estimator's entry of `validation.json`.

        Raises:
            UserError: the study has no estimator of that name.

        """
        scores: Mapping[str, Mapping[str, Any]] = self.validation["estimators"]
        if estimator not in scores:
            raise UserError(f"unknown estimator `{estimator}`; this study has {', '.join(scores)}")
        return scores[estimator]

    def caption(self, estimator: str) -> str:
        """Return an estimator's name, followed by its verdict if that is a warning."""
        warning = self.warning(estimator)
        return f"{estimator} ({warning})" if warning else estimator

    def warning(self, estimator: str) -> str:
        """Return an estimator's verdict if that is a warning, else an empty string."""
        verdict = str(self.score(estimator)["verdict"])
        return verdict if verdict in WARNING_VERDICTS else ""

    def beyond(self, estimator: str, metric: str = MAIN_METRIC) -> frozenset[str]:
        """Return the orders whose estimate is beyond the calibrated range."""
        flagged = self.flagged.get(estimator, {})
        return frozenset(order for order, flags in flagged.items() if flags[metric] == 1)

    def split(self, order: str) -> str:
        """Return the split of an order."""
        return str(self.orders[order]["split"])

    def points(self, estimator: str, metric: str = MAIN_METRIC) -> list[Point]:
        """Return the estimated and the true value of every order except the reference."""
        estimates = self.estimates.get(estimator, {})
        return [
            Point(
                order=order,
                split=self.split(order),
                estimated=values[metric],
                true=self.truth[order][metric],
                raw=self.raw[estimator][order][metric],
            )
            for order, values in estimates.items()
            if order != REFERENCE
        ]

    def recalibration(self, estimator: str, metric: str = MAIN_METRIC) -> Recalibration:
        """Return how raw estimates of a metric are recalibrated."""
        return Recalibration.from_record(self.score(estimator)["recalibration"][metric])

    def diverged(self, estimator: str) -> frozenset[str]:
        """Return the orders on which an estimator diverged."""
        return frozenset(self.score(estimator)["diverged"]["orders"])

    def label(self, what: str = "") -> str:
        """Return the line below each figure: study, verdict, model, window, seeds and orders.

        Args:
            what: a second line about the figure itself.

        """
        provenance = self.validation["provenance"]
        seeds = ", ".join(f"{name} {seed}" for name, seed in provenance["seeds"].items())
        orders = self.validation["orders"]
        random = {SPLIT_WORDS[split]: n for split, n in orders.items() if split in SPLIT_WORDS}
        drawn = ", ".join(f"{n} {name}" for name, n in random.items())
        others = [
            f"{n} {split}"
            for split, n in orders.items()
            if split not in SPLIT_WORDS and split != REFERENCE
        ]
        counts = ", ".join([f"{sum(random.values())} random ({drawn})", *others])
        growth = (self.validation.get("predictability") or {}).get("growth", {}).get("value")
        grown = "" if growth is None else f", growth {number_text(growth)}"
        parts = [
            f"study {self.validation['study']}, verdict {self.validation['verdict']}{grown}",
            f"{size_text(self.validation['parameters'])} parameters",
            f"T = {self.steps} steps",
            f"seeds {seeds}",
            f"n = {counts} orders",
        ]
        first = " · ".join(parts)
        return f"{first}\n{what}" if what else first

    @property
    def coverage(self) -> float:
        """The share of true losses that intervals are meant to contain."""
        return float(self.validation["provenance"]["config"]["validation"]["coverage"])

    @property
    def steps(self) -> int:
        """T, the number of steps in the window."""
        return len(self.orders[REFERENCE]["schedule"])


def size_text(parameters: int) -> str:
    """Return a number of parameters with a unit, such as `130 k`."""
    for unit, scale in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if parameters >= scale:
            return f"{parameters / scale:.3g} {unit}"
    return str(parameters)


def _flag(text: str) -> float:
    """Return 0 or 1, or NaN for an empty cell."""
    return float(text) if text else math.nan


def _content(file: ResultFile, folder: str | Path) -> Any:
    return read_json(file.path(folder), file.rule)


def _content_if_present(file: ResultFile, folder: str | Path) -> Mapping[str, Any] | None:
    """Read a file that a study may lack; a file with the content `null` is an error."""
    if not file.path(folder).exists():
        return None
    content: Mapping[str, Any] = _content(file, folder)
    if not isinstance(content, dict):
        raise _incomplete(file, folder)
    return content


def _stepwise(folder: str | Path) -> Stepwise | None:
    file = result_files.STEPWISE_LOSSES
    if not file.path(folder).exists():
        return None
    keys = ("estimator", "order", "metric", "step")
    estimated, true = (_nested(file, folder, value, keys) for value in ("estimated", "true"))
    return {
        estimator: {
            order: {
                metric: {
                    int(step): (value, true[estimator][order][metric][step])
                    for step, value in at.items()
                }
                for metric, at in by_metric.items()
            }
            for order, by_metric in by_order.items()
        }
        for estimator, by_order in estimated.items()
    }


def _incomplete(file: ResultFile, folder: str | Path) -> UserError:
    return UserError(f"{file.path(folder)}: fields are missing; rerun rule `{file.rule}`")


def _maps(folder: str | Path) -> Mapping[str, np.ndarray] | None:
    file = result_files.MAPS
    path = file.path(folder)
    return read_arrays(path, None, file.rule) if path.exists() else None


def _ranks(folder: str | Path) -> Mapping[str, Mapping[str, Any]] | None:
    """Read `probes.json` of each path on which ranks were tried; older files have no levels."""
    tried = {}
    for path, file in result_files.PROBES.items():
        content = _content_if_present(file, folder)
        if content and any(level["order_lds"] for level in content.get("levels", ())):
            tried[path] = content
    return tried or None


def _stores(folder: str | Path) -> Mapping[str, Any] | None:
    """Read `stores.json`, if the study has one, and check its fields."""
    file = result_files.STORES
    content = _content_if_present(file, folder)
    if content is None:
        return None
    try:
        complete = content.keys() >= {*file.fields} and all(
            record.keys() >= {*STORE_FIELDS} for record in content["stores"]
        )
        residuals = content["residuals"]["stores"] if complete and content["residuals"] else []
        complete &= all(record.keys() >= {*RESIDUAL_STORE_FIELDS} for record in residuals)
    except (AttributeError, KeyError, TypeError):
        complete = False
    if not complete:
        raise _incomplete(file, folder)
    return content


def _nested(
    file: ResultFile,
    folder: str | Path,
    value: str,
    keys: tuple[str, ...],
    number: Callable[[str], float] = float,
) -> dict[str, Any]:
    """Read one column of a CSV file into nested dictionaries, one level for each key column."""
    path = file.path(folder)
    result: dict[str, Any] = {}
    for row in read_csv(path):
        try:
            inner = result
            for key in keys[:-1]:
                inner = inner.setdefault(row[key], {})
            inner[row[keys[-1]]] = number(row[value])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: a row or column is missing or malformed ({error}); "
                f"rerun rule `{file.rule}`"
            ) from None
    return result

"""Joins truth and estimates into the result files, and says how far each estimate is to be trusted.

`docs/results.md` describes the files field by field and states the rule of the verdict.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainorder import accounting, provenance, store
from trainorder.config import METRIC_METHODS, EstimatorConfig
from trainorder.errors import UserError
from trainorder.files import read_json, write_csv, write_json
from trainorder.orders import REFERENCE
from trainorder.shards import (
    SPLITS,
    Floats,
    Outcomes,
    read_estimates,
    read_order_records,
    read_truth,
)
from trainorder.statistics import (
    Interval,
    binomial_share,
    bootstrap_mean,
    bootstrap_rank_correlation,
    conformal_radius,
    finite,
    interval_ends,
    worst_if_non_finite,
)
from trainorder.verdict import MAIN_METRIC, Verdict, best_estimator, verdict


@dataclass(frozen=True)
class Inputs:
    """The files that validation reads.

    Attributes:
        orders: `orders.json`.
        corpus: `corpus.json`, for the vocabulary.
        warm: `store/warm.h5`, for the number of parameters.
        manifest: `store/manifest.json`.
        truth: the truth shards.
        estimates: the estimate shards of every estimator.
        costs: the cost record of every job.

    """

    orders: str
    corpus: str
    warm: str
    manifest: str
    truth: list[str]
    estimates: list[str]
    costs: list[str]


@dataclass(frozen=True)
class Outputs:
    """The files that validation writes; `docs/results.md` describes each."""

    truth: str
    truth_losses: str
    estimates: str
    trajectories: str
    validation: str
    costs: str


@dataclass(frozen=True)
class Settings:
    """How intervals are made: the section `validation` of the configuration, and a seed.

    Attributes:
        resamples: bootstrap resamples.
        confidence: probability of the bootstrap intervals.
        coverage: probability of the conformal intervals.
        seed: of the resampling.

    """

    resamples: int
    confidence: float
    coverage: float
    seed: int


@dataclass(frozen=True)
class _Joined:
    """One estimator's outcomes beside the truth of the same orders, the reference left out.

    `value` and `true` are (O, M), `splits` (O,), `parameter_error` (O,), `reference` (M,).
    """

    name: str
    estimate: Outcomes
    orders: list[str]
    splits: np.ndarray
    value: Floats
    true: Floats
    reference: Floats
    parameter_error: Floats

    def where(self, split: str) -> np.ndarray:
        return np.flatnonzero(self.splits == split)


def validate(
    inputs: Inputs,
    outputs: Outputs,
    estimators: Sequence[EstimatorConfig],
    settings: Settings,
    config: Mapping[str, Any],
    key: str | None = None,
) -> dict[str, Any]:
    """Write the result files of a study.

    Args:
        inputs: files to read.
        outputs: files to write.
        estimators: the estimators of the study.
        settings: how intervals are made.
        config: the whole configuration of the study, which is recorded beside the numbers.
        key: the study key that every shard must carry; None takes any.

    Returns:
        The content of `validation.json`.

    Raises:
        UserError: a file is missing, damaged or does not fit the others.

    """
    records = read_order_records(inputs.orders)
    truth = read_truth(inputs.truth, key, records)
    estimates = read_estimates(
        inputs.estimates, key, records, [estimator.name for estimator in estimators], truth
    )
    splits = {name: str(record["split"]) for name, record in records.items()}
    bare = {estimator.name for estimator in estimators if estimator.method in METRIC_METHODS}
    joined = [
        _join(name, estimate, truth, splits, name in bare) for name, estimate in estimates.items()
    ]
    counts = {split: list(splits.values()).count(split) for split in dict.fromkeys(splits.values())}

    jobs = accounting.read_costs(inputs.costs)
    manifest = read_json(inputs.manifest, "manifest")
    retraining = accounting.retraining_seconds(jobs)
    costs = {
        estimator.name: accounting.estimator_cost(estimator, jobs, retraining, manifest, counts)
        for estimator in estimators
    }
    vocabulary = _vocabulary(inputs.corpus)
    scores = {
        part.name: _score(part, truth.metrics, settings, vocabulary)
        | {"cost": costs[part.name]}
        | {"diverged": _diverged(part, truth.metrics, vocabulary)}
        for part in joined
    }
    best = best_estimator(scores)
    summary = {
        "study": config["study"],
        "verdict": scores[best]["verdict"],
        "best_estimator": best,
        "metrics": truth.metrics,
        "parameters": _parameters(inputs.warm, key),
        "orders": counts,
        "reference": _by_metric(truth.metrics, truth.value[truth.rows([REFERENCE])[0]]),
        "spread": _spread(truth, splits),
        "divergence_threshold": divergence_threshold(vocabulary),
        "retrain_all": accounting.retrain_all(jobs, counts),
        "estimators": scores,
        "provenance": {
            "versions": provenance.versions(),
            "machine": provenance.machine() | accounting.gpus(jobs),
            "seeds": config["seeds"],
            "config": config,
        },
    }
    _write_truth(outputs, truth)
    _write_estimates(outputs.estimates, joined, estimates, truth.metrics, scores)
    _write_trajectories(outputs.trajectories, joined, truth)
    write_json(
        outputs.costs,
        {
            "retraining_seconds": retraining,
            "stages": accounting.stage_costs(
                jobs, retraining, accounting.stored_bytes(manifest) | _shard_bytes(inputs)
            ),
        },
    )
    write_json(outputs.validation, summary)
    return summary


def divergence_threshold(vocabulary: int) -> float:
    """Return the held-out loss above which an estimate counts as diverged: 2 ln(vocabulary).

    A model that knows nothing predicts every token alike and has the loss ln(vocabulary).
    """
    return 2 * math.log(vocabulary)


def _vocabulary(path: str) -> int:
    vocabulary = read_json(path, "corpus").get("tokenizer", {}).get("vocabulary")
    if not isinstance(vocabulary, int) or vocabulary < 2:
        raise UserError(f"{path}: has no `tokenizer.vocabulary`; rerun rule `corpus`")
    return vocabulary


def _parameters(path: str, key: str | None) -> int:
    with store.opened(path, key, "warm") as file:
        return int(file["parameters"].shape[0])


def _shard_bytes(inputs: Inputs) -> dict[str, int]:
    """Return the bytes of truth and estimate shards by stage."""
    sizes = {"truth": sum(Path(file).stat().st_size for file in inputs.truth)}
    for file in map(Path, inputs.estimates):
        stage = f"estimate/{file.parent.name}"
        sizes[stage] = sizes.get(stage, 0) + file.stat().st_size
    sizes["warm"] = Path(inputs.warm).stat().st_size
    return sizes


def _join(
    name: str, estimate: Outcomes, truth: Outcomes, splits: Mapping[str, str], bare: bool
) -> _Joined:
    """Return an estimator's outcomes; a `bare` one estimates no parameters, so has no error."""
    orders = [order for order in estimate.orders if order != REFERENCE]
    mine, true = estimate.rows(orders), truth.rows(orders)
    reference = truth.rows([REFERENCE])[0]
    error = _relative_norm(
        estimate.sketch[mine] - truth.sketch[true], truth.sketch[true] - truth.sketch[reference]
    )
    return _Joined(
        name=name,
        estimate=estimate,
        orders=orders,
        splits=np.array([splits[order] for order in orders]),
        value=estimate.value[mine],
        true=truth.value[true],
        reference=truth.value[reference],
        parameter_error=np.full_like(error, np.nan) if bare else error,
    )


def _relative_norm(difference: Floats, base: Floats) -> Floats:
    """Return the ratio of norms over the last axis; +inf if diverged, NaN for a base of zero."""
    with np.errstate(over="ignore", invalid="ignore"):
        above = worst_if_non_finite(np.linalg.norm(difference, axis=-1))
        below = np.broadcast_to(np.linalg.norm(base, axis=-1), above.shape)
        ratio = np.full(above.shape, np.nan)
        np.divide(above, below, out=ratio, where=below > 0)
    return ratio


def _score(
    part: _Joined, metrics: Sequence[str], settings: Settings, vocabulary: int
) -> dict[str, Any]:
    """Return one estimator's entry of `validation.json`, without its cost and diverged orders."""
    present = [split for split in SPLITS if split != "custom" or len(part.where(split))]
    scores: dict[str, Any] = {
        "orders": {split: len(part.where(split)) for split in present},
        "order_lds": {},
        "mae": {},
        "relative_error": {},
        "bias": {},
        "interval_radius": {},
        "calibrated_range": {},
        "beyond": {},
        "coverage": {},
    }
    calibration = part.where("calibration")
    for column, metric in enumerate(metrics):
        value, true = part.value[:, column], part.true[:, column]
        with np.errstate(invalid="ignore"):
            residual = value - true
        radius = finite(conformal_radius(residual[calibration], settings.coverage))
        scores["interval_radius"][metric] = radius
        limits = calibrated_range(value[calibration], radius)
        scores["calibrated_range"][metric] = limits
        for name in ("order_lds", "mae", "relative_error", "bias", "coverage", "beyond"):
            scores[name][metric] = {}
        for split in present:
            rows = part.where(split)
            error = residual[rows]
            effect = np.abs(true[rows] - part.reference[column])
            scores["order_lds"][metric][split] = _rank(value[rows], true[rows], settings)._asdict()
            scores["mae"][metric][split] = _mean(np.abs(error))
            scores["bias"][metric][split] = _mean(error)
            scores["relative_error"][metric][split] = _ratio(_mean(np.abs(error)), _mean(effect))
            scores["beyond"][metric][split] = limits and sum(
                is_beyond(x, limits) for x in value[rows]
            )
            if split != "calibration":
                scores["coverage"][metric][split] = _coverage(error, radius, settings)
    scores["parameter_error"] = {
        split: _parameter_error(part.parameter_error[part.where(split)], settings)
        for split in present
    }
    found = _verdict(part, scores, metrics, vocabulary)
    return scores | {
        "verdict": found.verdict,
        "verdict_reason": found.reason,
        "advice": found.advice,
    }


def calibrated_range(calibration: Floats, radius: float | None) -> list[float] | None:
    """Return the range that calibration speaks for, [low, high]; None without an interval.

    It is that of the estimates (n,) of the calibration orders, widened by the conformal radius: of
    an estimate outside it, no calibration order tells how wrong it is.
    """
    if radius is None or not np.isfinite(calibration).all():
        return None
    return [float(calibration.min() - radius), float(calibration.max() + radius)]


def is_beyond(value: float, limits: Sequence[float]) -> bool:
    """Whether an estimate is outside the calibrated range; one that is not finite is."""
    return not limits[0] <= value <= limits[1]


def _rank(value: Floats, true: Floats, settings: Settings) -> Interval:
    return bootstrap_rank_correlation(
        value, true, settings.resamples, settings.confidence, settings.seed
    )


def _mean(values: Floats) -> float | None:
    return finite(values.mean()) if len(values) and np.isfinite(values).all() else None


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else finite(above / below)


def _coverage(error: Floats, radius: float | None, settings: Settings) -> dict[str, Any]:
    """Return the share of orders whose truth the interval held, and that share's own interval."""
    n = len(error)
    if radius is None:
        return Interval(None, None, None, n)._asdict()
    with np.errstate(invalid="ignore"):
        held = int(np.count_nonzero(np.abs(error) <= radius))
    return binomial_share(held, n, settings.confidence)._asdict()


def _parameter_error(errors: Floats, settings: Settings) -> dict[str, Any]:
    """Return mean, interval and median over the orders whose result is not the reference's."""
    # An order with the reference's own schedule has no displacement to compare an error with.
    defined = errors[~np.isnan(errors)]
    mean = bootstrap_mean(defined, settings.resamples, settings.confidence, settings.seed)
    median = finite(np.median(defined)) if len(defined) else None
    return {"mean": mean.value, "low": mean.low, "high": mean.high, "median": median, "n": mean.n}


def _diverged(part: _Joined, metrics: Sequence[str], vocabulary: int) -> dict[str, Any]:
    names = [part.orders[row] for row in _diverged_rows(part, metrics, vocabulary)]
    return {"count": len(names), "orders": names}


def _diverged_rows(part: _Joined, metrics: Sequence[str], vocabulary: int) -> np.ndarray:
    main = part.value[:, list(metrics).index(MAIN_METRIC)]
    with np.errstate(invalid="ignore"):
        above = main > divergence_threshold(vocabulary)
    return np.flatnonzero(~np.isfinite(part.value).all(axis=1) | above)


def _verdict(
    part: _Joined, scores: Mapping[str, Any], metrics: Sequence[str], vocabulary: int
) -> Verdict:
    """Return the verdict from the calibration orders alone, and why."""
    rows = _diverged_rows(part, metrics, vocabulary)
    return verdict(
        scores["order_lds"][MAIN_METRIC]["calibration"],
        scores["relative_error"][MAIN_METRIC]["calibration"],
        int(np.count_nonzero(part.splits[rows] == "calibration")),
    )


def _by_metric(metrics: Sequence[str], row: Floats) -> dict[str, float | None]:
    return {metric: finite(value) for metric, value in zip(metrics, row, strict=True)}


def _spread(truth: Outcomes, splits: Mapping[str, str]) -> dict[str, Any]:
    """Return spread of the true metric over each split's orders."""
    of = np.array([splits[order] for order in truth.orders])
    result: dict[str, Any] = {}
    for column, metric in enumerate(truth.metrics):
        result[metric] = {}
        for split in SPLITS:
            values = truth.value[of == split, column]
            if len(values):
                usable = bool(np.isfinite(values).all())
                result[metric][split] = {
                    "mean": _mean(values),
                    "std": finite(values.std(ddof=1)) if usable and len(values) > 1 else None,
                    "min": finite(values.min()),
                    "max": finite(values.max()),
                    "n": len(values),
                }
    return result


def _write_truth(outputs: Outputs, truth: Outcomes) -> None:
    write_csv(
        outputs.truth,
        ["order", "metric", "value"],
        (
            (order, metric, value)
            for order, row in zip(truth.orders, truth.value.tolist(), strict=True)
            for metric, value in zip(truth.metrics, row, strict=True)
        ),
    )
    write_csv(
        outputs.truth_losses,
        ["order", "step", "loss"],
        (
            (order, step, loss)
            for order, row in zip(truth.orders, truth.train_loss.tolist(), strict=True)
            for step, loss in enumerate(row)
        ),
    )


def _write_estimates(
    path: str,
    joined: Sequence[_Joined],
    estimates: Mapping[str, Outcomes],
    metrics: Sequence[str],
    scores: Mapping[str, Any],
) -> None:
    def rows() -> Iterator[tuple[Any, ...]]:
        for part in joined:
            estimate, score = estimates[part.name], scores[part.name]
            radii, ranges = score["interval_radius"], score["calibrated_range"]
            seconds = score["cost"]["seconds_per_order"]
            for order, values in zip(estimate.orders, estimate.value.tolist(), strict=True):
                for metric, value in zip(metrics, values, strict=True):
                    ends, limits = interval_ends(value, radii[metric]), ranges[metric]
                    beyond = None if limits is None else int(is_beyond(value, limits))
                    yield part.name, order, metric, value, *ends, beyond, seconds

    header = ["estimator", "order", "metric", "value", "low", "high", "beyond", "seconds"]
    write_csv(path, header, rows())


def _write_trajectories(path: str, joined: Sequence[_Joined], truth: Outcomes) -> None:
    """Write the parameter error at the end of every order, and along the followed ones.

    All are in units of the order's displacement from the reference at the end of the window, so
    that an error's growth is its own and not that of its yardstick.
    """
    end = truth.sketch[truth.rows([REFERENCE])[0]]

    def rows() -> Iterator[tuple[Any, ...]]:
        for part in joined:
            for order, final in zip(part.orders, part.parameter_error.tolist(), strict=True):
                # NaN: the reference's own schedule under another name has no displacement.
                if not math.isnan(final):
                    along = _error_before_end(part, truth, order, end)
                    for step, error in enumerate(along):
                        yield part.name, order, step, error
                    yield part.name, order, truth.train_loss.shape[1], final

    write_csv(path, ["estimator", "order", "step", "parameter_error"], rows())


def _error_before_end(part: _Joined, truth: Outcomes, order: str, end: Floats) -> list[float]:
    """Return the parameter error before each step; empty where the order was not followed."""
    mine, true = part.estimate.trajectories.get(order), truth.trajectories.get(order)
    if mine is None or true is None:
        return []
    if mine.shape != true.shape:
        raise UserError(
            f"estimates/{part.name}: the trajectory of `{order}` has another shape than the "
            "truth's; rerun rule `estimate`"
        )
    return [float(x) for x in _relative_norm(mine - true, true[-1] - end)[:-1]]

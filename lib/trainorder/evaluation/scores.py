"""The scores of one estimator against the truth, and the spread of the true metrics."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainorder.data.metrics import MAIN_METRIC, is_loss
from trainorder.errors import UserError
from trainorder.evaluation.calibrated_range import calibrated_range, is_beyond
from trainorder.evaluation.outcomes import SCORED_SPLITS, Floats, Outcomes
from trainorder.evaluation.paired_outcomes import PairedOutcomes
from trainorder.evaluation.recalibration import Recalibration
from trainorder.evaluation.verdict import Verdict, verdict
from trainorder.numerics.resampling import (
    Interval,
    binomial_share,
    bootstrap_mean,
    bootstrap_rank_correlation,
    finite,
)
from trainorder.orders.order import CALIBRATION
from trainorder.storage.formats import read_json

# Fields of an estimator's entry of `validation.json` that hold a mapping by metric.
_BY_METRIC = (
    *("order_lds", "mae", "relative_error", "raw_relative_error", "bias", "coverage"),
    *("calibrated_range", "beyond", "recalibration"),
)


@dataclass(frozen=True)
class IntervalSettings:
    """How intervals are computed: the section `validation` of the configuration, and a seed.

    Attributes:
        resamples: number of bootstrap resamples.
        confidence: probability of the bootstrap intervals.
        coverage: probability of the prediction intervals.
        seed: of the resampling.

    """

    resamples: int
    confidence: float
    coverage: float
    seed: int


def read_vocabulary(path: str) -> int:
    """Return the size of the vocabulary from `corpus.json`.

    Raises:
        UserError: the file is missing or does not state it.

    """
    vocabulary = read_json(path, "corpus").get("tokenizer", {}).get("vocabulary")
    if not isinstance(vocabulary, int) or vocabulary < 2:
        raise UserError(f"{path}: contains no `tokenizer.vocabulary`; rerun rule `corpus`")
    return vocabulary


def divergence_threshold(vocabulary: int) -> float:
    """Return the held-out loss above which an estimate counts as diverged: 2 ln(vocabulary).

    A uniform prediction over the vocabulary has the loss ln(vocabulary).
    """
    return 2 * math.log(vocabulary)


def estimator_scores(
    paired: PairedOutcomes, metrics: Sequence[str], settings: IntervalSettings, vocabulary: int
) -> dict[str, Any]:
    """Return one estimator's entry of `validation.json`, without its cost and diverged orders."""
    splits = [split for split in SCORED_SPLITS if split != "custom" or len(paired.rows_of(split))]
    scores: dict[str, Any] = {
        "orders": {split: len(paired.rows_of(split)) for split in splits},
        **{name: {} for name in _BY_METRIC},
    }
    for column, metric in enumerate(metrics):
        for name, score in _metric_scores(paired, column, splits, settings).items():
            scores[name][metric] = score
    scores["parameter_error"] = {
        split: _parameter_error(paired.parameter_error[paired.rows_of(split)], settings)
        for split in splits
    }
    judged = _verdict(paired, scores, metrics, vocabulary)
    return scores | {
        "verdict": judged.verdict,
        "verdict_reason": judged.reason,
        "advice": judged.advice,
    }


def _metric_scores(
    paired: PairedOutcomes, column: int, splits: Sequence[str], settings: IntervalSettings
) -> dict[str, Any]:
    """Return the scores of one metric: its recalibration, and its errors by split.

    Ranks are those of the raw estimates, because a slope of 0 would make all estimates equal.
    """
    raw, true = paired.value[:, column], paired.true[:, column]
    calibration = paired.splits == CALIBRATION
    recalibration = Recalibration.fitted(raw[calibration], true[calibration], settings.coverage)
    limits = calibrated_range(raw[calibration]) if recalibration.left_out else None
    value, low, high = recalibration.estimates(raw, calibration).T
    with np.errstate(invalid="ignore"):
        error, raw_error, effect = (x - true for x in (value, raw, paired.no_effect[:, column]))
    scores: dict[str, Any] = {name: {} for name in _BY_METRIC}
    scores |= {"calibrated_range": limits, "recalibration": recalibration.record()}
    for split in splits:
        rows = paired.rows_of(split)
        scores["order_lds"][split] = bootstrap_rank_correlation(
            raw[rows], true[rows], settings.resamples, settings.confidence, settings.seed
        )._asdict()
        scores["mae"][split] = finite_mean(np.abs(error[rows]))
        scores["bias"][split] = finite_mean(error[rows])
        scores["relative_error"][split] = _error_ratio(error[rows], effect[rows])
        scores["raw_relative_error"][split] = _error_ratio(raw_error[rows], effect[rows])
        scores["beyond"][split] = limits and sum(is_beyond(x, limits) for x in raw[rows])
        if split != CALIBRATION:
            inside = (low[rows] <= true[rows]) & (true[rows] <= high[rows])
            has_intervals = recalibration.rank is not None
            scores["coverage"][split] = _coverage(inside, has_intervals, settings)
    return scores


def finite_mean(values: Floats) -> float | None:
    """Return the mean of `values` (n,), or None if n is 0 or a value is not finite."""
    return finite(values.mean()) if len(values) and np.isfinite(values).all() else None


def _error_ratio(errors: Floats, effects: Floats) -> float | None:
    """Return mean |error| / mean |effect|; None where it is undefined."""
    above, below = finite_mean(np.abs(errors)), finite_mean(np.abs(effects))
    return None if above is None or not below else finite(above / below)


def _coverage(
    inside: NDArray[np.bool_], has_intervals: bool, settings: IntervalSettings
) -> dict[str, Any]:
    """Return the share of orders whose interval contains the truth, with its own interval."""
    n = len(inside)
    if not has_intervals:
        return Interval(None, None, None, n)._asdict()
    return binomial_share(int(np.count_nonzero(inside)), n, settings.confidence)._asdict()


def _parameter_error(errors: Floats, settings: IntervalSettings) -> dict[str, Any]:
    """Return the mean with its interval, and the median, over the orders where it is defined."""
    # An order with the schedule of the reference has no displacement to compare an error with.
    defined = errors[~np.isnan(errors)]
    mean = bootstrap_mean(defined, settings.resamples, settings.confidence, settings.seed)
    median = finite(np.median(defined)) if len(defined) else None
    return {"mean": mean.value, "low": mean.low, "high": mean.high, "median": median, "n": mean.n}


def diverged_orders(
    paired: PairedOutcomes, metrics: Sequence[str], vocabulary: int
) -> dict[str, Any]:
    """Return the number of orders on which the estimate diverged, and their names."""
    names = [paired.orders[row] for row in _diverged_rows(paired, metrics, vocabulary)]
    return {"count": len(names), "orders": names}


def _diverged_rows(paired: PairedOutcomes, metrics: Sequence[str], vocabulary: int) -> np.ndarray:
    main = paired.value[:, list(metrics).index(MAIN_METRIC)]
    losses = paired.value[:, [is_loss(metric) for metric in metrics]]
    with np.errstate(invalid="ignore"):
        above = main > divergence_threshold(vocabulary)
    return np.flatnonzero(~np.isfinite(losses).all(axis=1) | above)


def _verdict(
    paired: PairedOutcomes, scores: Mapping[str, Any], metrics: Sequence[str], vocabulary: int
) -> Verdict:
    """Return the verdict; it reads the calibration orders only."""
    diverged = _diverged_rows(paired, metrics, vocabulary)
    return verdict(
        scores["order_lds"][MAIN_METRIC][CALIBRATION],
        scores["relative_error"][MAIN_METRIC][CALIBRATION],
        int(np.count_nonzero(paired.splits[diverged] == CALIBRATION)),
    )


def by_metric(metrics: Sequence[str], row: Floats) -> dict[str, float | None]:
    """Return `row` (M,) as a mapping from metric to value; None for a non-finite value."""
    return {metric: finite(value) for metric, value in zip(metrics, row, strict=True)}


def true_spread(truth: Outcomes, splits: Mapping[str, str]) -> dict[str, Any]:
    """Return mean, standard deviation and range of each true metric over the orders of a split."""
    split_of_row = np.array([splits[order] for order in truth.orders])
    spread: dict[str, Any] = {metric: {} for metric in truth.metrics}
    for column, metric in enumerate(truth.metrics):
        for split in SCORED_SPLITS:
            values = truth.value[split_of_row == split, column]
            if len(values):
                usable = bool(np.isfinite(values).all())
                spread[metric][split] = {
                    "mean": finite_mean(values),
                    "std": finite(values.std(ddof=1)) if usable and len(values) > 1 else None,
                    "min": finite(values.min()),
                    "max": finite(values.max()),
                    "n": len(values),
                }
    return spread

"""Scores of one estimator against the truth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainorder.evaluation.conformal import conformal_radius
from trainorder.evaluation.conformal_range import calibrated_range, is_beyond
from trainorder.evaluation.outcomes import (
    SPLITS,
    Floats,
    Outcomes,
)
from trainorder.evaluation.verdict import MAIN_METRIC, Verdict, verdict
from trainorder.numerics.resampling import (
    Interval,
    binomial_share,
    bootstrap_mean,
    bootstrap_rank_correlation,
    finite,
    worst_if_non_finite,
)
from trainorder.orders.order import REFERENCE


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
class Joined:
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
        """Return the rows of the orders in `split`."""
        return np.flatnonzero(self.splits == split)


def divergence_threshold(vocabulary: int) -> float:
    """Return the held-out loss above which an estimate counts as diverged: 2 ln(vocabulary).

    A model that knows nothing predicts every token alike and has the loss ln(vocabulary).
    """
    return 2 * math.log(vocabulary)


def joined(
    name: str, estimate: Outcomes, truth: Outcomes, splits: Mapping[str, str], bare: bool
) -> Joined:
    """Return an estimator's outcomes; a `bare` one estimates no parameters, so has no error."""
    orders = [order for order in estimate.orders if order != REFERENCE]
    mine, true = estimate.rows(orders), truth.rows(orders)
    reference = truth.rows([REFERENCE])[0]
    error = relative_norm(
        estimate.sketch[mine] - truth.sketch[true], truth.sketch[true] - truth.sketch[reference]
    )
    return Joined(
        name=name,
        estimate=estimate,
        orders=orders,
        splits=np.array([splits[order] for order in orders]),
        value=estimate.value[mine],
        true=truth.value[true],
        reference=truth.value[reference],
        parameter_error=np.full_like(error, np.nan) if bare else error,
    )


def relative_norm(difference: Floats, base: Floats) -> Floats:
    """Return the ratio of norms over the last axis; +inf if diverged, NaN for a base of zero."""
    with np.errstate(over="ignore", invalid="ignore"):
        above = worst_if_non_finite(np.linalg.norm(difference, axis=-1))
        below = np.broadcast_to(np.linalg.norm(base, axis=-1), above.shape)
        ratio = np.full(above.shape, np.nan)
        np.divide(above, below, out=ratio, where=below > 0)
    return ratio


def score(
    part: Joined, metrics: Sequence[str], settings: Settings, vocabulary: int
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
            scores["mae"][metric][split] = mean_or_none(np.abs(error))
            scores["bias"][metric][split] = mean_or_none(error)
            scores["relative_error"][metric][split] = _ratio(
                mean_or_none(np.abs(error)), mean_or_none(effect)
            )
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


def _rank(value: Floats, true: Floats, settings: Settings) -> Interval:
    return bootstrap_rank_correlation(
        value, true, settings.resamples, settings.confidence, settings.seed
    )


def mean_or_none(values: Floats) -> float | None:
    """Return the mean of `values` (n,), or None if n is 0 or a value is not finite."""
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


def diverged_orders(part: Joined, metrics: Sequence[str], vocabulary: int) -> dict[str, Any]:
    """Return how many orders diverged, and their names."""
    names = [part.orders[row] for row in _diverged_rows(part, metrics, vocabulary)]
    return {"count": len(names), "orders": names}


def _diverged_rows(part: Joined, metrics: Sequence[str], vocabulary: int) -> np.ndarray:
    main = part.value[:, list(metrics).index(MAIN_METRIC)]
    with np.errstate(invalid="ignore"):
        above = main > divergence_threshold(vocabulary)
    return np.flatnonzero(~np.isfinite(part.value).all(axis=1) | above)


def _verdict(
    part: Joined, scores: Mapping[str, Any], metrics: Sequence[str], vocabulary: int
) -> Verdict:
    """Return the verdict from the calibration orders alone, and why."""
    rows = _diverged_rows(part, metrics, vocabulary)
    return verdict(
        scores["order_lds"][MAIN_METRIC]["calibration"],
        scores["relative_error"][MAIN_METRIC]["calibration"],
        int(np.count_nonzero(part.splits[rows] == "calibration")),
    )


def by_metric(metrics: Sequence[str], row: Floats) -> dict[str, float | None]:
    """Return `row` (M,) as a mapping; None for a value that is not finite."""
    return {metric: finite(value) for metric, value in zip(metrics, row, strict=True)}


def true_spread(truth: Outcomes, splits: Mapping[str, str]) -> dict[str, Any]:
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
                    "mean": mean_or_none(values),
                    "std": finite(values.std(ddof=1)) if usable and len(values) > 1 else None,
                    "min": finite(values.min()),
                    "max": finite(values.max()),
                    "n": len(values),
                }
    return result

"""A stack of estimators: their sum with non-negative weights, against the best single one.

The weights are fitted on the calibration orders, and everything is scored on the random orders,
which no fit has seen (stacked regressions: Breiman 1996, Machine Learning 24).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import nnls

from bench.paired import difference_interval, resampled_orders
from trainorder.evaluation.recalibration import Recalibration, interval_rank, shrunk_line
from trainorder.numerics.resampling import Floats, finite, rank_correlation, rank_correlations

COVERAGE = 0.9


class Stack(NamedTuple):
    """A fitted stack: its estimate of raw estimates x (J,) is intercept + x @ slopes.

    Attributes:
        intercept: in nats per token.
        slopes: (J,) non-negative.
        weights: (J,) of the recalibrated members.

    """

    intercept: float
    slopes: Floats
    weights: Floats

    def values(self, raw: Floats) -> Floats:
        """Return the estimates (O,) of raw estimates (O, J) of the members."""
        return self.intercept + raw @ self.slopes


def fitted_stack(raw: Floats, true: Floats) -> Stack:
    """Return the stack that n calibration orders give.

    Each member is recalibrated. The weights are the non-negative least-squares fit of the truth on
    the members' leave-one-out estimates, so that a member which fits its own calibration too well
    gains nothing. Their sum is recalibrated once more, with the usual shrinkage of its slope.

    Args:
        raw: (n, J) raw estimates.
        true: (n,) true metric.

    """
    everything = np.ones(len(true), bool)
    members = [Recalibration.fitted(x, true, COVERAGE) for x in raw.T]
    columns = zip(members, raw.T, strict=True)
    left_out = np.stack([one.estimates(x, everything)[:, 0] for one, x in columns], axis=1)
    scale = float(true.std()) or 1.0  # nnls has an absolute tolerance
    weights, _ = nnls((left_out - left_out.mean(0)) / scale, (true - true.mean()) / scale)
    outer = shrunk_line(left_out @ weights, true)
    inner = np.array([[one.intercept, one.slope] for one in members])
    intercept = outer.intercept + outer.slope * float(weights @ inner[:, 0])
    return Stack(intercept, outer.slope * weights * inner[:, 1], weights)


def stack_estimates(raw: Floats, true: Floats, further: Floats) -> tuple[Stack, Floats]:
    """Return the stack of n calibration orders, and its estimates of O further orders.

    The intervals are those of the jackknife+ (Barber et al. 2021), with the whole fit of the stack
    repeated without each calibration order.

    Args:
        raw: (n, J) raw estimates of the calibration orders.
        true: (n,) their true metric.
        further: (O, J) raw estimates of the further orders.

    Returns:
        The stack, and (O, 3): estimate, lower and upper end; NaN where there is no interval.

    """
    n, stack = len(true), fitted_stack(raw, true)
    value = stack.values(further)
    result = np.stack([value, np.full_like(value, np.nan), np.full_like(value, np.nan)], axis=1)
    rank = interval_rank(n, COVERAGE)
    if rank is None:
        return stack, result
    others = [np.arange(n) != i for i in range(n)]
    fits = [fitted_stack(raw[rest], true[rest]) for rest in others]
    residual = np.array([abs(true[i] - float(fits[i].values(raw[i]))) for i in range(n)])
    values = np.stack([fit.values(further) for fit in fits], axis=1)
    result[:, 1] = np.minimum(np.sort(values - residual, axis=1)[:, -rank], value)
    result[:, 2] = np.maximum(np.sort(values + residual, axis=1)[:, rank - 1], value)
    return stack, result


@dataclass(frozen=True)
class Sample:
    """Raw estimates and truth of one metric, of the calibration and of the random orders.

    Attributes:
        names: of the J members.
        raw: (n, J) of the calibration orders.
        true: (n,) of the same orders.
        further_raw: (O, J) of the random orders.
        further_true: (O,) of the same orders.

    """

    names: list[str]
    raw: Floats
    true: Floats
    further_raw: Floats
    further_true: Floats


class Scored(NamedTuple):
    """Estimates of the random orders (O,), with their errors and ranked values.

    Attributes:
        ranked: values that rank the orders.
        error: estimate minus truth.
        inside: whether the interval contains the truth; None without intervals.

    """

    ranked: Floats
    error: Floats
    inside: Floats


def comparison(sample: Sample) -> dict[str, Any]:
    """Return the scores of the stack of all members, and its gains over the best single one.

    The best single member has the smallest leave-one-out error on the calibration orders, as the
    stack has its weights from there. A gain is positive where the stack is better; its interval is
    from paired resamples of the random orders.
    """
    stack, estimates = stack_estimates(sample.raw, sample.true, sample.further_raw)
    combined = sample.further_raw @ stack.slopes
    scored = _scored(combined, estimates, sample.further_true)
    singles = [_single(sample, column) for column in range(len(sample.names))]
    best = int(np.argmin([_calibration_error(sample, j) for j in range(len(sample.names))]))
    effect = float(sample.true.mean()) - sample.further_true
    return {
        "members": sample.names,
        "weights": dict(zip(sample.names, stack.weights.tolist(), strict=True)),
        "n": len(sample.further_true),
        "stack": _scores(scored, effect, sample.further_true),
        "singles": {
            name: _scores(one, effect, sample.further_true)
            for name, one in zip(sample.names, singles, strict=True)
        },
        "best": sample.names[best],
        **_gains(scored, singles[best], effect, sample.further_true),
    }


def _single(sample: Sample, column: int) -> Scored:
    recalibration = Recalibration.fitted(sample.raw[:, column], sample.true, COVERAGE)
    raw = sample.further_raw[:, column]
    return _scored(raw, recalibration.estimates(raw), sample.further_true)


def _calibration_error(sample: Sample, column: int) -> float:
    recalibration = Recalibration.fitted(sample.raw[:, column], sample.true, COVERAGE)
    everything = np.ones(len(sample.true), bool)
    left_out = recalibration.estimates(sample.raw[:, column], everything)[:, 0]
    return float(np.abs(left_out - sample.true).mean())


def _scored(ranked: Floats, estimates: Floats, true: Floats) -> Scored:
    value, low, high = estimates.T
    inside = np.where(np.isnan(low), np.nan, (low <= true) & (true <= high))
    return Scored(ranked, value - true, inside)


def _scores(scored: Scored, effect: Floats, true: Floats) -> dict[str, float | None]:
    return {
        "order_lds": rank_correlation(scored.ranked, true),
        "relative_error": finite(np.abs(scored.error).mean() / np.abs(effect).mean()),
        "coverage": finite(scored.inside.mean()),
    }


def _gains(stack: Scored, single: Scored, effect: Floats, true: Floats) -> dict[str, Any]:
    """Return the gains in order-LDS and in relative error, with their intervals."""
    n = len(true)
    every = resampled_orders(n)
    ranks = [rank_correlations(one.ranked[every], true[every]) for one in (stack, single)]
    means = [np.abs(one.error)[every].mean(1) for one in (stack, single)]
    drawn = {
        "gain_order_lds": ranks[0] - ranks[1],
        "gain_relative_error": (means[1] - means[0]) / np.abs(effect)[every].mean(1),
    }
    return {name: difference_interval(values, n)._asdict() for name, values in drawn.items()}

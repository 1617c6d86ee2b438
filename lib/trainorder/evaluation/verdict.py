"""The verdict: how far an estimator can be trusted, why, and what its user can do.

It is computed from the calibration orders alone.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from trainorder.config.estimator_names import method_of
from trainorder.data.metrics import MAIN_METRIC
from trainorder.orders.order import CALIBRATION

TRUSTED, RANK_ONLY, NOT_TRUSTED = "trusted", "rank only", "not trusted"
NOT_CALIBRATED = "not calibrated"
MIN_CALIBRATION = 8  # orders; with fewer, a bootstrap interval of a rank correlation means little
TRUSTED_CORRELATION, TRUSTED_RELATIVE_ERROR = 0.8, 0.5
RANK_CORRELATION = 0.5

ADVICE = {
    TRUSTED: "Use its values for orders within the calibrated range. Its intervals are calibrated "
    "for random orders: before you quote an interval for another kind of order, or any order that "
    "is flagged as beyond the range, retrain that order.",
    RANK_ONLY: "Use it to choose the most promising orders, and retrain them before you quote "
    "their gains.",
    NOT_TRUSTED: "Draw no conclusion from its estimates: use an estimator with a better verdict, "
    "shorten the window, lower the learning rate, or retrain.",
    NOT_CALIBRATED: f"Run it on at least {MIN_CALIBRATION} calibration orders before you use it: "
    "raise orders.calibration, or the limit in the `orders` of this estimator.",
}


class Verdict(NamedTuple):
    """A verdict and its reason in one sentence."""

    verdict: str
    reason: str

    @property
    def advice(self) -> str:
        """What a user can do."""
        return ADVICE[self.verdict]


def verdict(correlation: Mapping[str, Any], relative_error: float | None, diverged: int) -> Verdict:
    """Return the verdict on an estimator and its reason; `docs/results.md` states the rule.

    Args:
        correlation: value, low, high and n of the `heldout` order-LDS over calibration orders.
        relative_error: mean absolute error over that of "the order has no effect", same orders;
            each order is left out of the calibration that both errors are computed with.
        diverged: number of calibration orders on which the estimate diverged.

    """
    n, low = correlation["n"], correlation["low"]
    if n == 0:
        return Verdict(NOT_CALIBRATED, "it ran on no calibration order")
    if diverged:
        return Verdict(NOT_TRUSTED, f"diverged on {diverged} of {n} calibration orders")
    if n < MIN_CALIBRATION:
        return Verdict(
            NOT_CALIBRATED, f"only {n} calibration orders; at least {MIN_CALIBRATION} are needed"
        )
    if low is None:
        return Verdict(NOT_TRUSTED, "cannot rank orders: its estimate is the same for all of them")
    rank = (
        f"rank correlation {correlation['value']:.2f} on {n} calibration orders; "
        f"the lower end of its interval, {low:.2f}, "
    )
    if low < RANK_CORRELATION:
        return Verdict(NOT_TRUSTED, f"{rank}is below {RANK_CORRELATION}")
    if low < TRUSTED_CORRELATION:
        return Verdict(RANK_ONLY, f"{rank}is below {TRUSTED_CORRELATION}")
    if relative_error is None:
        return Verdict(
            RANK_ONLY, f"{rank}reaches {TRUSTED_CORRELATION}, but the relative error is undefined"
        )
    error = f"the relative error {relative_error:.2f} is"
    if relative_error > TRUSTED_RELATIVE_ERROR:
        return Verdict(
            RANK_ONLY,
            f"{rank}reaches {TRUSTED_CORRELATION}, but {error} above {TRUSTED_RELATIVE_ERROR}",
        )
    return Verdict(
        TRUSTED,
        f"{rank}reaches {TRUSTED_CORRELATION}, and {error} at most {TRUSTED_RELATIVE_ERROR}",
    )


_RANKS = {TRUSTED: 2, RANK_ONLY: 1, NOT_TRUSTED: 0, NOT_CALIBRATED: 0}


def selected_estimator(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the cheapest estimator with the best verdict: the one to use for further orders.

    The cost is that of the precompute and of all ranked orders together. An estimator that gives no
    parameters is only taken if no other one has the verdict: it serves searches and maps. If no
    estimator can rank orders, it is the best one.
    """
    best = max(_RANKS[score["verdict"]] for score in scores.values())
    if not best:
        return best_estimator(scores)

    def cost(name: str) -> float:
        total = scores[name]["cost"]["total_retrainings"]
        return math.inf if total is None else float(total)

    candidates = [name for name in scores if _RANKS[scores[name]["verdict"]] == best]
    complete = [name for name in candidates if method_of(name).estimates_parameters]
    return min(complete or candidates, key=cost)


def best_estimator(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the estimator with the best verdict.

    Among trusted estimators, the smallest relative error wins; among others, the highest lower end
    of the rank correlation. Only calibration orders are used, so that the held-back orders stay
    independent of the choice. The first estimator in the sequence wins a tie.
    """

    def merit(name: str) -> tuple[int, float]:
        score = scores[name]
        if score["verdict"] == TRUSTED:
            return _RANKS[TRUSTED], -score["relative_error"][MAIN_METRIC][CALIBRATION]
        low = score["order_lds"][MAIN_METRIC][CALIBRATION]["low"]
        return _RANKS[score["verdict"]], -math.inf if low is None else low

    return max(scores, key=merit)


def study_verdict(validation: Mapping[str, Any]) -> str:
    """Return the verdict of a study, its estimator and reason, from `validation.json`."""
    name = validation["best_estimator"]
    reason = validation["estimators"][name]["verdict_reason"]
    return f"{validation['verdict']}, by {name}: {reason}"

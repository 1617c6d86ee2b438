"""How far an estimator is to be trusted, why, and what its user may do. From calibration alone."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

MAIN_METRIC = "heldout"
TRUSTED, RANK_ONLY, NOT_TRUSTED = "trusted", "rank only", "not trusted"
NOT_CALIBRATED = "not calibrated"
MIN_CALIBRATION = 8  # orders: with fewer, a bootstrap interval of a rank correlation means little
TRUSTED_CORRELATION, TRUSTED_RELATIVE_ERROR = 0.8, 0.5
RANK_CORRELATION = 0.5

ADVICE = {
    TRUSTED: "Use its values for orders within the calibrated range. Its intervals are made for "
    "random orders: retrain for real an order of another kind before you quote its interval, and "
    "any order that is flagged as beyond the range.",
    RANK_ONLY: "Use it to pick the most promising orders, and retrain those for real before you "
    "quote what they gain.",
    NOT_TRUSTED: "Draw no conclusion from its estimates: take an estimator with a better verdict, "
    "shorten the window or lower the learning rate, or retrain for real.",
    NOT_CALIBRATED: f"Let it run on at least {MIN_CALIBRATION} calibration orders before you use "
    "it: raise orders.calibration, or the bound in its own `orders`.",
}


class Verdict(NamedTuple):
    """A verdict, the reason in one sentence, and what a user may do."""

    verdict: str
    reason: str

    @property
    def advice(self) -> str:
        """What a user may do."""
        return ADVICE[self.verdict]


def verdict(correlation: Mapping[str, Any], relative_error: float | None, diverged: int) -> Verdict:
    """Return `trusted`, `rank only`, `not trusted` or `not calibrated`, and why.

    Args:
        correlation: value, low, high and n of the held-out order-LDS over calibration orders.
        relative_error: mean error in units of the mean true effect, over the same orders.
        diverged: calibration orders on which the estimate diverged.

    """
    n, low = correlation["n"], correlation["low"]
    if n == 0:
        return Verdict(NOT_CALIBRATED, "it was run on no calibration order")
    if diverged:
        return Verdict(NOT_TRUSTED, f"diverged on {diverged} of {n} calibration orders")
    if n < MIN_CALIBRATION:
        return Verdict(
            NOT_CALIBRATED, f"only {n} calibration orders; at least {MIN_CALIBRATION} are needed"
        )
    if low is None:
        return Verdict(NOT_TRUSTED, "ranks no orders: it estimates the same value for all of them")
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


def best_estimator(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the estimator with the best verdict.

    Among trusted ones the smallest relative error decides, among others the highest lower end of
    the rank correlation. Only calibration orders count, so that the choice does not spoil the
    held-back orders. The first one listed wins a tie.
    """
    rank = {TRUSTED: 2, RANK_ONLY: 1, NOT_TRUSTED: 0, NOT_CALIBRATED: 0}

    def merit(name: str) -> tuple[int, float]:
        score = scores[name]
        if score["verdict"] == TRUSTED:
            return rank[TRUSTED], -score["relative_error"][MAIN_METRIC]["calibration"]
        low = score["order_lds"][MAIN_METRIC]["calibration"]["low"]
        return rank[score["verdict"]], -math.inf if low is None else low

    return max(scores, key=merit)

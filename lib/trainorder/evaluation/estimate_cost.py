"""What estimates cost: before the first one, and for each order.

Report, figures and explorer read this rule.
"""

from collections.abc import Mapping
from math import floor
from typing import Any, NamedTuple

from trainorder.config.estimator_names import method_of, parse_name
from trainorder.orders.order import CALIBRATION, HELD_BACK


class EstimateCost(NamedTuple):
    """The cost of an estimator of a study, in retrainings.

    Attributes:
        precompute: paid once.
        selection: paid once to choose a size or rank.
        trial: paid once to estimate the calibration orders, which correct and judge the estimator;
            0 if the selection of its size has estimated them.
        each: replay and evaluation of one further order.
        evaluation: the part of `each` that is the evaluation.
        calibration: retraining and evaluating the calibration orders, which every estimator needs.
            It comes on top of `before`.
        retraining: retraining and evaluating one order.

    """

    precompute: float
    selection: float
    trial: float
    each: float
    evaluation: float
    calibration: float
    retraining: float

    @property
    def before(self) -> float:
        """What is paid before the first estimate of a further order."""
        return self.precompute + self.selection + self.trial

    def total(self, orders: int) -> float:
        """Return the cost of the estimates of some further orders."""
        return self.before + self.each * orders

    @property
    def break_even(self) -> int | None:
        """The number of further orders from which on estimates cost less than retraining them.

        The calibration orders count as retrained. None: estimates never cost less.
        """
        saved = self.retraining - self.each
        return None if saved <= 0 else floor((self.calibration + self.before) / saved) + 1


def estimate_cost(validation: Mapping[str, Any], name: str) -> EstimateCost | None:
    """Return the cost of an estimator; None if it ran on no order, so that it is unknown.

    Args:
        validation: content of `validation.json`.
        name: of an estimator of the study.

    """
    cost, everything = validation["estimators"][name]["cost"], validation["retrain_all"]
    if cost["total_retrainings"] is None:
        return None
    once = cost["precompute_retrainings"] + cost["selection_retrainings"]
    each = cost["per_order_retrainings"] + cost["evaluation_retrainings"]
    # The total is that of the calibration and held-back orders; see `costs.estimator_cost`.
    trial = cost["total_retrainings"] - once - each * validation["orders"].get(HELD_BACK, 0)
    retraining = everything["total_retrainings"] / everything["orders"]
    return EstimateCost(
        precompute=cost["precompute_retrainings"],
        selection=cost["selection_retrainings"],
        trial=trial if trial > 1e-9 * cost["total_retrainings"] else 0.0,
        each=each,
        evaluation=cost["evaluation_retrainings"],
        calibration=retraining * validation["orders"].get(CALIBRATION, 0),
        retraining=retraining,
    )


def cost_text(validation: Mapping[str, Any], name: str) -> str:
    """Return what an estimator costs before its first estimate and for each order, in words.

    No seconds, so that pages with this text depend on counts only.
    """
    cost = estimate_cost(validation, name)
    if cost is None:
        return "an unknown number of retrainings, because it ran on no order"
    return (
        f"{retrainings_text(cost.before)} retrainings before the first estimate "
        f"({_parts(cost, name)}), and {_each(cost)}"
    )


def _parts(cost: EstimateCost, name: str) -> str:
    is_size = method_of(name).takes_size and parse_name(name)["size"] is None
    what = "size, on the calibration orders" if is_size else "rank"
    parts = {
        "to precompute": cost.precompute,
        f"to choose its {what}": cost.selection,
        "to estimate the calibration orders": cost.trial,
    }
    return ", ".join(f"{retrainings_text(value)} {text}" for text, value in parts.items() if value)


def _each(cost: EstimateCost) -> str:
    if not cost.each:
        return (
            "nothing for each order: it gives the losses in a replay that needs no gradient and no "
            "evaluation"
        )
    replay = cost.each - cost.evaluation
    gradients = f"{retrainings_text(replay)} for a replay"
    if replay < 1e-9:
        gradients = "none for a replay, which needs no gradient"
    return (
        f"{retrainings_text(cost.each)} for each order ({gradients}; "
        f"{retrainings_text(cost.evaluation)} to evaluate the losses)"
    )


def retrainings_text(value: float) -> str:
    """Return a cost: with one decimal from 1 on, else with two digits after the point.

    >>> [retrainings_text(value) for value in (1234.5, 17.24, 2.0, 0.142, 0.0195, 0.0002, 0)]
    ['1,234', '17.2', '2.0', '0.14', '0.02', '<0.01', '0']
    """
    if value >= 999.95:
        return f"{value:,.0f}"
    if value >= 1:
        return f"{value:.1f}"
    if value >= 0.005:
        return f"{value:.2f}"
    return "<0.01" if value > 0 else "0"

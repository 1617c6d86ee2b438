"""What an estimator of a study is and what it costs, in words."""

from collections.abc import Sequence

from trainorder.config.estimator_names import method_of, parse_name
from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.estimate_cost import estimate_cost, retrainings_text
from trainorder.evaluation.interval_coverage import (
    coverage_text,
    judged_coverage,
    orders_inside,
)
from trainorder.evaluation.results import Results
from trainorder.orders.order import HELD_BACK
from trainorder.report.numbers import two_decimals, with_interval


def estimator_text(name: str) -> str:
    """Return what an estimator is, with the settings that its name states.

    >>> estimator_text("subsample10@barycentre")
    'true gradients of a part of each unit, low-rank curvature for the rest; 10 sequences of a unit'
    """
    stated, method = parse_name(name), method_of(name)
    settings = []
    if method.takes_guard:
        bounded = "no bound" if "-unguarded" in name else "a bound"
        settings.append(f"with {bounded} on its corrections")
    if stated["size"]:
        settings.append(f"{stated['size']} sequences of a unit")
    if stated["runs"]:
        settings.append(f"up to {stated['runs']} known runs besides the reference")
    if stated["tail"]:
        settings.append(f"the last {stated['tail']} steps")
    return "; ".join([method.summary, *settings])


def cost_table(results: Results, names: Sequence[str]) -> list[list[str]]:
    """Return costs and accuracy of estimators as the rows of a table, the heading first."""
    orders = results.validation["retrain_all"]["orders"]
    heading = [
        "estimator",
        "before the first estimate: precompute + choice of size or rank + calibration orders",
        "each order: replay + evaluation",
        f"in all for these {orders} orders",
        "cheaper than retraining from",
        "order-LDS",
        "relative error",
        "orders inside their intervals",
    ]
    return [heading, *(_cost_row(results, name) for name in names)]


def _cost_row(results: Results, name: str) -> list[str]:
    cost, score = estimate_cost(results.validation, name), results.score(name)
    accuracy = [
        with_interval(score["order_lds"][MAIN_METRIC][HELD_BACK]),
        two_decimals(score["relative_error"][MAIN_METRIC][HELD_BACK]),
        _inside(results, name),
    ]
    what = f"`{name}`: {estimator_text(name)}"
    if cost is None:
        return [what, *["unknown"] * 4, *accuracy]
    from_then_on = "never" if cost.break_even is None else f"{cost.break_even} further orders on"
    return [
        what,
        _sum_text(cost.before, (cost.precompute, cost.selection, cost.trial)),
        _sum_text(cost.each, (cost.each - cost.evaluation, cost.evaluation)),
        retrainings_text(cost.total(results.validation["orders"].get(HELD_BACK, 0))),
        from_then_on,
        *accuracy,
    ]


def _inside(results: Results, name: str) -> str:
    covered = results.score(name)["coverage"][MAIN_METRIC][HELD_BACK]
    if covered["value"] is None:
        return "no intervals"
    judged = judged_coverage(covered, results.coverage)
    return f"{orders_inside(covered)} of {covered['n']}" + (f": {judged}" if judged else "")


def _sum_text(total: float, parts: Sequence[float]) -> str:
    return f"{retrainings_text(total)} ({' + '.join(map(retrainings_text, parts))})"


def accuracy_text(results: Results, name: str) -> str:
    """Return how well an estimator did on the held-back random orders."""
    score = results.score(name)
    rank, covered = (score[key][MAIN_METRIC][HELD_BACK] for key in ("order_lds", "coverage"))
    error = score["relative_error"][MAIN_METRIC][HELD_BACK]
    parts = [
        f"On {rank['n']} held-back random orders: order-LDS {with_interval(rank)}, relative error "
        f"{two_decimals(error)}",
        coverage_text(covered, results.coverage),
    ]
    return "; ".join(filter(None, parts)) + "."


def verdict_text(results: Results, name: str) -> str:
    """Return the verdict of an estimator with its reason."""
    score = results.score(name)
    return f"{score['verdict']} ({score['verdict_reason']})"

"""What an estimator of a study is and what it costs, in words."""

from trainorder.config.estimator_names import method_of, parse_name
from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import MAIN_METRIC
from trainorder.report.numbers import short, with_interval


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


def cost_text(results: Results, name: str) -> str:
    """Return the cost of an estimator in retrainings, part by part."""
    cost = results.score(name)["cost"]
    each, seconds = cost["per_order_retrainings"], cost["seconds_per_order"]
    parts = [f"{short(cost['precompute_retrainings'])} retrainings once"]
    if cost["selection_retrainings"]:
        parts.append(f"{short(cost['selection_retrainings'])} to choose its size or rank")
    timed = "" if seconds is None else f" ({short(seconds)} s)"
    if each is None:
        parts.append("an unknown cost per order")
    else:
        parts.append(f"{short(each) if each else 'no gradient'} per order{timed}")
    if cost["evaluation_retrainings"]:
        parts.append(f"{short(cost['evaluation_retrainings'])} to evaluate an order")
    return ", ".join(parts)


def break_even(results: Results, name: str) -> float | None:
    """Return the number of orders from which on an estimator costs less than retraining them.

    The calibration orders, which it needs, count as retrained. None: it never costs less.
    """
    cost = results.score(name)["cost"]
    each = cost["per_order_retrainings"]
    if each is None or each >= 1:
        return None
    once = cost["precompute_retrainings"] + cost["selection_retrainings"]
    return float((results.validation["orders"]["calibration"] + once) / (1 - each))


def accuracy_text(results: Results, name: str) -> str:
    """Return how well an estimator did on the held-back random orders."""
    score = results.score(name)
    rank, covered = (score[key][MAIN_METRIC]["random"] for key in ("order_lds", "coverage"))
    error = score["relative_error"][MAIN_METRIC]["random"]
    text = (
        f"On {rank['n']} held-back random orders: order-LDS {with_interval(rank)}, relative error "
        f"{short(error)}"
    )
    if covered["value"] is None:
        return f"{text}."
    aimed = results.validation["provenance"]["config"]["validation"]["coverage"]
    inside = round(covered["value"] * covered["n"])
    return f"{text}; its intervals, meant for {aimed:.0%}, contain {inside} of {covered['n']}."

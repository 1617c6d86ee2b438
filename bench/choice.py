"""Chooses the reported estimator: the best cheap one, by calibration orders only."""

from collections.abc import Mapping, Sequence

from bench.numbers import mean_of
from trainorder.config.sections import EstimatorConfig
from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import MAIN_METRIC, MIN_CALIBRATION

Studies = Mapping[str, Results]


def configs(results: Results) -> dict[str, EstimatorConfig]:
    """Return the configuration of each estimator of a study by name."""
    entries = results.validation["provenance"]["config"]["estimators"]
    return {config.name: config for config in (EstimatorConfig(**entry) for entry in entries)}


def order_cost(results: Results, estimator: str) -> float | None:
    """Return the cost of replaying and evaluating an order, divided by that of retraining it."""
    cost, everything = results.score(estimator)["cost"], results.validation["retrain_all"]
    if cost["per_order_retrainings"] is None:
        return None
    each = cost["per_order_retrainings"] + (cost["evaluation_retrainings"] or 0.0)
    return float(each * everything["orders"] / everything["total_retrainings"])


def mean_cost(studies: Studies, estimator: str) -> float | None:
    """Return the mean over studies of `order_cost`; None if a study lacks it."""
    return mean_of(order_cost(results, estimator) for results in studies.values())


def best_within(studies: Studies, bound: float, methods: Sequence[str] = ()) -> str | None:
    """Return the estimator that ranks the calibration orders best among the cheap ones.

    A candidate has at least `MIN_CALIBRATION` calibration orders in every study, is not fitted on
    retrainings, and costs at most `bound` retrainings per order on average. Random orders are not
    used. In a tie, the first estimator of the configuration wins.

    Args:
        studies: the studies, which differ in their seeds.
        bound: largest cost per order, in retrainings.
        methods: the methods to choose from; empty for all.

    """
    merits: dict[str, float] = {}
    for name, config in configs(next(iter(studies.values()))).items():
        if config.descriptor.fitted or (methods and config.method not in methods):
            continue
        merit = _calibration_merit(studies, name)
        if merit is not None and _is_within(studies, name, bound):
            merits[name] = merit
    return max(merits, key=lambda name: merits[name]) if merits else None


def _is_within(studies: Studies, estimator: str, bound: float) -> bool:
    cost = mean_cost(studies, estimator)
    return cost is not None and cost <= bound


def _calibration_merit(studies: Studies, estimator: str) -> float | None:
    """Return the mean order-LDS of `heldout` over the calibration orders."""
    if not all(estimator in results.estimators for results in studies.values()):
        return None
    scores = [results.score(estimator) for results in studies.values()]
    ranks = [score["order_lds"][MAIN_METRIC]["calibration"] for score in scores]
    if any(rank["n"] < MIN_CALIBRATION for rank in ranks):
        return None
    return mean_of(rank["value"] for rank in ranks)

"""Gains of searched orders over heuristic and random orders, all of them retrained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from trainorder.config.estimator_names import parse_name
from trainorder.curriculum.candidates_file import FIELD, SEARCHED
from trainorder.curriculum.fresh_gains import expected_choice
from trainorder.curriculum.objective import Objective
from trainorder.evaluation.outcomes import Outcomes
from trainorder.evaluation.recalibration import Recalibration
from trainorder.evaluation.scores import IntervalSettings
from trainorder.numerics.resampling import percentiles


@dataclass(frozen=True)
class Compute:
    """The cost of a search, in retrainings.

    Attributes:
        precompute: of the estimators that it used, with the choice of their size or rank.
        search: proposals and estimates.
        retrained: number of retrained candidates.

    """

    precompute: float
    search: float
    retrained: int

    @property
    def total(self) -> float:
        """The sum of all parts."""
        return self.precompute + self.search + self.retrained


def precompute_of(costs: Mapping[str, Mapping[str, float]]) -> float:
    """Return what estimators cost together before their first estimate, in retrainings.

    Estimators on one path need the same jobs, and the most expensive one needs all of them. So only
    the highest cost of each path counts.

    Args:
        costs: `cost` of each estimator in `validation.json`, by its name.

    """
    highest: dict[str, float] = {}
    for name, cost in costs.items():
        path = parse_name(name)["path"]
        spent = cost["precompute_retrainings"] + cost["selection_retrainings"]
        highest[path] = max(spent, highest.get(path, 0.0))
    return sum(highest.values())


def expected_best(values: Sequence[float], n: int) -> float:
    """Return the expected lowest of `n` values, drawn without replacement from `values`."""
    array = np.array(values)
    return expected_choice(array, array, n)


def expected_best_interval(
    values: Sequence[float], n: int, settings: IntervalSettings
) -> tuple[float | None, float | None]:
    """Return the percentile bootstrap interval of `expected_best` over the values."""
    rng = np.random.default_rng(settings.seed)
    drawn = rng.choice(values, (settings.resamples, len(values)))
    best = np.array([expected_best(row, n) for row in drawn])
    return percentiles(best, settings.confidence)


def true_objective(objective: Objective, truth: Outcomes) -> dict[str, float]:
    """Return the objective of each retrained order, averaged over the readouts."""
    values = objective.of(truth.metrics, truth.along).mean(axis=1)
    return dict(zip(truth.orders, values.tolist(), strict=True))


def objective_recalibration(
    objective: Objective,
    metrics: Sequence[str],
    truth: Mapping[str, Mapping[str, float]],
    raw: Mapping[str, Mapping[str, float]],
    calibration: Sequence[str],
    coverage: float,
) -> Recalibration:
    """Return the recalibration of an estimated objective at the end of the window.

    Args:
        objective: objective of the search.
        metrics: metrics of the study.
        truth: true value by order and metric.
        raw: raw estimates of one estimator by order and metric.
        calibration: names of the calibration orders; orders without an estimate do not count.
        coverage: probability that the interval aims at, in (0, 1).

    Returns:
        The recalibration; it changes nothing if the calibration orders are too few.

    """
    used = [metric for metric in metrics if metric in objective.weights]
    both = [
        [[values[name][metric] for metric in used] for values in (raw, truth)]
        for name in calibration
        if name in raw
    ]
    if not both:
        return Recalibration()
    values = objective.of(used, np.array(both))
    return Recalibration.fitted(values[:, 0], values[:, 1], coverage)


def compare(
    candidates: Sequence[Mapping[str, Any]],
    true: Mapping[str, float],
    random: Sequence[str],
    held_back: Sequence[str],
    recalibrations: Mapping[str, Recalibration],
    compute: Compute,
    settings: IntervalSettings,
) -> dict[str, Any]:
    """Return the winner, all candidates with estimate and truth, and the gains over baselines.

    The winner is the searched order with the lowest true objective. One baseline is the expected
    best of as many random orders as the compute of the search could retrain.

    Args:
        candidates: records of `candidates.json`.
        true: true objective by order.
        random: names of the retrained random orders.
        held_back: those of them whose mean is a baseline, and whose standard deviation is the
            spread, the unit of gains.
        recalibrations: recalibration of the estimated objective, by estimator.
        compute: compute of the search.
        settings: of the interval of the expected best.

    """
    orders = [_order(candidate, true, recalibrations) for candidate in candidates]
    retrained = [order for order in orders if order["true"] is not None]
    winner = min((o for o in retrained if o["kind"] == SEARCHED), key=lambda o: o["true"])
    best_field = min((o for o in retrained if o["kind"] == FIELD), key=lambda o: o["true"])
    values = np.array([true[name] for name in random])
    n = ceil(compute.total)
    sample = np.array([true[name] for name in held_back])
    mean, spread = float(sample.mean()), float(sample.std(ddof=1))
    baselines = {
        "random_mean": mean,
        "same_compute": expected_best(values.tolist(), n),
        "field": best_field["true"],
    }
    gains: dict[str, dict[str, Any]] = {
        name: {"value": value - winner["true"], "in_spreads": (value - winner["true"]) / spread}
        for name, value in baselines.items()
    }
    ends = expected_best_interval(values.tolist(), n, settings)
    low, high = (None if end is None else end - winner["true"] for end in ends)
    gains["same_compute"] |= {"low": low, "high": high}
    return {
        "winner": winner["name"],
        "best_of_field": best_field["name"],
        "orders": orders,
        "random": {
            "n": len(values),
            "mean": mean,
            "std": spread,
            "true": {name: true[name] for name in random},
        },
        "compute": {
            "precompute_retrainings": compute.precompute,
            "search_retrainings": compute.search,
            "retrained": compute.retrained,
            "total_retrainings": compute.total,
            "random_orders_for_it": n,
            "random_orders_had": len(values),
        },
        "gains": gains,
    }


def _order(
    candidate: Mapping[str, Any],
    true: Mapping[str, float],
    recalibrations: Mapping[str, Recalibration],
) -> dict[str, Any]:
    estimates = {
        estimator: {"raw": raw, **recalibrations[estimator].estimate(raw)._asdict()}
        for estimator, raw in candidate["estimates"].items()
    }
    return {
        "name": candidate["name"],
        "kind": candidate["kind"],
        "search": candidate["search"],
        "estimates": estimates,
        "true": true.get(candidate["name"]),
    }

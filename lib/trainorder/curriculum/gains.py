"""What a search came to: its orders beside the field's and beside chance, all really retrained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, comb
from typing import Any

import numpy as np

from trainorder.curriculum.candidates import FIELD, SEARCHED
from trainorder.curriculum.objective import Objective
from trainorder.evaluation.conformal_intervals import conformal_radius, interval_ends
from trainorder.evaluation.outcomes import Outcomes


@dataclass(frozen=True)
class Compute:
    """What the search cost, in retrainings.

    Attributes:
        precompute: of the estimators that it went by.
        search: proposing and estimating.
        retrained: real training of the best.

    """

    precompute: float
    search: float
    retrained: int

    @property
    def total(self) -> float:
        """All of it."""
        return self.precompute + self.search + self.retrained


def expected_best(values: Sequence[float], n: int) -> float:
    """Return the expected lowest of `n` of `values`, drawn without replacement.

    The i-th lowest of m values is the lowest of n with probability C(m - i, n - 1) / C(m, n).
    """
    ranked, m = np.sort(values), len(values)
    n = min(n, m)
    chances = [comb(m - 1 - i, n - 1) / comb(m, n) for i in range(m)]
    return float(np.dot(chances, ranked))


def true_objective(objective: Objective, truth: Outcomes) -> dict[str, float]:
    """Return the objective of each order that was retrained, averaged over the readouts."""
    values = objective.of(truth.metrics, truth.along).mean(axis=1)
    return dict(zip(truth.orders, values.tolist(), strict=True))


def objective_radius(
    objective: Objective,
    metrics: Sequence[str],
    truth: Mapping[str, Mapping[str, float]],
    estimates: Mapping[str, Mapping[str, float]],
    calibration: Sequence[str],
    coverage: float,
) -> float | None:
    """Return the split-conformal radius of an estimated objective at the window's end.

    Args:
        objective: of the search.
        metrics: of the study.
        truth: by order and metric.
        estimates: of one estimator, by order and metric.
        calibration: names of the calibration orders; those that are not estimated are left out.
        coverage: wanted probability, in (0, 1).

    """
    both = [
        [[values[name][metric] for metric in metrics] for values in (estimates, truth)]
        for name in calibration
        if name in estimates
    ]
    if not both:
        return None
    found = objective.of(metrics, np.array(both))
    return conformal_radius(found[:, 0] - found[:, 1], coverage)


def compare(
    candidates: Sequence[Mapping[str, Any]],
    true: Mapping[str, float],
    random: Sequence[str],
    radii: Mapping[str, float | None],
    compute: Compute,
) -> dict[str, Any]:
    """Return the winner, every candidate with estimates and truth, and what chance would give.

    The winner is the searched order that retraining found best. "Chance" is what the same compute
    buys in retrainings of random orders, the best of which is kept.

    Args:
        candidates: records of `candidates.json`.
        true: objective by order.
        random: names of the retrained random orders.
        radii: conformal radius by estimator, None where there is none.
        compute: of the search.

    """
    orders = [_order(candidate, true, radii) for candidate in candidates]
    judged = [order for order in orders if order["true"] is not None]
    winner = min((o for o in judged if o["kind"] == SEARCHED), key=lambda o: o["true"])
    best_field = min((o for o in judged if o["kind"] == FIELD), key=lambda o: o["true"])
    values = np.array([true[name] for name in random])
    n = ceil(compute.total)
    chance = expected_best(values.tolist(), n)
    spread = float(values.std(ddof=1))
    baselines = {
        "random_mean": float(values.mean()),
        "same_compute": chance,
        "field": best_field["true"],
    }
    return {
        "winner": winner["name"],
        "best_of_field": best_field["name"],
        "orders": orders,
        "random": {
            "n": len(values),
            "mean": float(values.mean()),
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
        "gains": {
            name: {"value": value - winner["true"], "in_spreads": (value - winner["true"]) / spread}
            for name, value in baselines.items()
        },
    }


def _order(
    candidate: Mapping[str, Any], true: Mapping[str, float], radii: Mapping[str, float | None]
) -> dict[str, Any]:
    estimates = {}
    for estimator, value in candidate["estimates"].items():
        low, high = interval_ends(value, radii.get(estimator))
        estimates[estimator] = {"value": value, "low": low, "high": high}
    return {
        "name": candidate["name"],
        "kind": candidate["kind"],
        "search": candidate["search"],
        "estimates": estimates,
        "true": true.get(candidate["name"]),
    }

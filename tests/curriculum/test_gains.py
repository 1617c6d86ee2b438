"""The winner is the best retrained order; gains compare it with the expected best by chance."""

from itertools import combinations

import numpy as np
import pytest

from trainorder.curriculum.gains import (
    Compute,
    compare,
    expected_best,
    objective_radius,
    true_objective,
)
from trainorder.curriculum.objective import Objective
from trainorder.evaluation.outcomes import Outcomes

RANDOM = {f"random-{i}": value for i, value in enumerate([5.0, 3.0, 4.0, 6.0])}


def candidate(name, kind, estimate, **search):
    return {"name": name, "kind": kind, "search": search, "estimates": {"expensive": estimate}}


CANDIDATES = [
    candidate("genetic", "searched", 1.0),
    candidate("local-search", "searched", 1.5),
    candidate("assignment", "searched", 9.0),
    candidate("zigzag", "field", 2.5),
    candidate("folded", "field", 2.4),
]
TRUE = {"genetic": 2.5, "local-search": 2.0, "zigzag": 2.8, "folded": 3.5, **RANDOM}


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_expected_best_is_the_mean_over_all_draws(n):
    values = list(RANDOM.values())
    draws = [min(drawn) for drawn in combinations(values, n)]
    assert expected_best(values, n) == pytest.approx(np.mean(draws))


def test_more_draws_than_values_give_the_best_value():
    assert expected_best([3.0, 1.0, 2.0], 10) == 1.0


def comparison(**changes):
    compute = Compute(1.0, 0.2, 1)
    return compare(CANDIDATES, TRUE, list(RANDOM), {"expensive": 0.5, **changes}, compute)


def test_retraining_decides_who_wins():
    assert comparison()["winner"] == "local-search", "an estimate decided"
    assert comparison()["best_of_field"] == "zigzag"


def test_a_gain_is_the_loss_of_a_baseline_minus_that_of_the_winner():
    gains = comparison()["gains"]
    assert gains["random_mean"]["value"] == pytest.approx(4.5 - 2.0)
    assert gains["field"]["value"] == pytest.approx(2.8 - 2.0)
    best_of_three = np.mean([min(drawn) for drawn in combinations(RANDOM.values(), 3)])
    assert gains["same_compute"]["value"] == pytest.approx(best_of_three - 2.0)
    spread = np.std(list(RANDOM.values()), ddof=1)
    assert gains["field"]["in_spreads"] == pytest.approx(0.8 / spread)


def test_compute_counts_precompute_search_and_retraining():
    compute = comparison()["compute"]
    assert compute["total_retrainings"] == pytest.approx(2.2)
    assert compute["random_orders_for_it"] == 3, "a fraction of a retraining counts as one"


def test_every_retrained_order_has_estimate_and_truth():
    orders = {order["name"]: order for order in comparison()["orders"]}
    assert orders["genetic"]["estimates"]["expensive"] == {"value": 1.0, "low": 0.5, "high": 1.5}
    assert orders["genetic"]["true"] == 2.5
    assert orders["assignment"]["true"] is None
    assert comparison(expensive=None)["orders"][0]["estimates"]["expensive"]["low"] is None


def test_the_objective_is_averaged_over_the_readouts():
    along = np.array([[[1.0, 0.0], [3.0, 0.0]]])
    empty = np.empty((1, 0))
    truth = Outcomes(["a"], ["heldout", "heldout/x"], along[:, -1], empty, {}, empty, along, empty)
    assert true_objective(Objective({"heldout": 2.0}), truth) == {"a": 4.0}


def test_the_radius_is_that_of_the_objective_not_of_its_parts():
    metrics = ["heldout", "heldout/x"]
    truth = {f"c{i}": {"heldout": 0.0, "heldout/x": 0.0} for i in range(9)}
    estimates = {name: {"heldout": 1.0, "heldout/x": -1.0} for name in truth}
    objective = Objective({"heldout": 1.0, "heldout/x": 1.0})
    assert objective_radius(objective, metrics, truth, estimates, [*truth, "unknown"], 0.9) == 0.0
    assert objective_radius(objective, metrics, truth, {}, list(truth), 0.9) is None

"""The winner is the best retrained order; gains compare it with the expected best by chance."""

from itertools import combinations

import numpy as np
import pytest

from trainorder.curriculum.gains import (
    Compute,
    compare,
    expected_best,
    objective_recalibration,
    precompute_of,
    true_objective,
)
from trainorder.curriculum.objective import Objective
from trainorder.evaluation.outcomes import Outcomes
from trainorder.evaluation.recalibration import Recalibration
from trainorder.evaluation.scores import IntervalSettings

RANDOM = {f"random-{i}": value for i, value in enumerate([5.0, 3.0, 4.0, 6.0])}
HELD_BACK = ["random-0", "random-1", "random-2"]


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
    recalibration = Recalibration.fitted([*range(9)], [2 * x + 1 for x in range(9)], 0.9)
    compute = Compute(1.0, 0.2, 1)
    recalibrations = {"expensive": recalibration, **changes}
    settings = IntervalSettings(resamples=400, confidence=0.9, coverage=0.9, seed=0)
    return compare(CANDIDATES, TRUE, list(RANDOM), HELD_BACK, recalibrations, compute, settings)


def test_retraining_decides_who_wins():
    assert comparison()["winner"] == "local-search", "an estimate decided"
    assert comparison()["best_of_field"] == "zigzag"


def test_a_gain_is_the_loss_of_a_baseline_minus_that_of_the_winner():
    gains = comparison()["gains"]
    assert gains["random_mean"]["value"] == pytest.approx(4.0 - 2.0), (
        "not the mean of the held-back orders"
    )
    assert gains["field"]["value"] == pytest.approx(2.8 - 2.0)
    best_of_three = np.mean([min(drawn) for drawn in combinations(RANDOM.values(), 3)])
    assert gains["same_compute"]["value"] == pytest.approx(best_of_three - 2.0)
    spread = np.std([RANDOM[name] for name in HELD_BACK], ddof=1)
    assert gains["field"]["in_spreads"] == pytest.approx(0.8 / spread), (
        "the unit is not the spread of the held-back orders, as in the rest of the study"
    )


def test_compute_counts_precompute_search_and_retraining():
    compute = comparison()["compute"]
    assert compute["total_retrainings"] == pytest.approx(2.2)
    assert compute["random_orders_for_it"] == 3, "a fraction of a retraining counts as one"


def test_estimators_of_one_path_share_their_precompute():
    def cost(precompute, selection):
        return {"precompute_retrainings": precompute, "selection_retrainings": selection}

    reduced, nystrom, corrected = cost(16.0, 1.5), cost(15.0, 1.5), cost(2.0, 11.0)
    shared = {"reduced@barycentre": reduced, "nystrom@barycentre": nystrom}
    assert precompute_of(shared) == pytest.approx(17.5), "stages of one path are counted twice"
    both = {"reduced@barycentre": reduced, "corrected-runs24@reference": corrected}
    assert precompute_of(both) == pytest.approx(30.5), "the choice of a size is not counted"


def test_every_retrained_order_has_estimate_and_truth():
    orders = {order["name"]: order for order in comparison()["orders"]}
    assert orders["genetic"]["estimates"]["expensive"] == pytest.approx(
        {"raw": 1.0, "value": 3.0, "low": 3.0, "high": 3.0}
    ), "not recalibrated"
    assert orders["genetic"]["true"] == 2.5
    assert orders["assignment"]["true"] is None
    unknown = comparison(expensive=Recalibration())["orders"][0]["estimates"]["expensive"]
    assert unknown == {"raw": 1.0, "value": 1.0, "low": None, "high": None}


def test_the_objective_is_averaged_over_the_readouts():
    along = np.array([[[1.0, 0.0], [3.0, 0.0]]])
    empty = np.empty((1, 0))
    truth = Outcomes(["a"], ["heldout", "heldout/x"], along[:, -1], empty, {}, empty, along, empty)
    assert true_objective(Objective({"heldout": 2.0}), truth) == {"a": 4.0}


def test_the_objective_is_recalibrated_as_a_whole_not_its_parts():
    metrics, rng = ["heldout", "heldout/x"], np.random.default_rng(0)
    names = [f"c{i}" for i in range(9)]
    values = rng.standard_normal((9, 2))
    errors = 5 * rng.standard_normal(9)
    truth = {
        n: dict(zip(metrics, v.tolist(), strict=True)) for n, v in zip(names, values, strict=True)
    }
    raw = {  # errors of the parts cancel in the sum
        name: {"heldout": value["heldout"] + error, "heldout/x": value["heldout/x"] - error}
        for (name, value), error in zip(truth.items(), errors, strict=True)
    }
    objective = Objective({"heldout": 1.0, "heldout/x": 1.0})

    def fitted(raw):
        return objective_recalibration(objective, metrics, truth, raw, [*names, "unknown"], 0.9)

    assert fitted(raw).slope == pytest.approx(1)
    assert fitted(raw).estimate(7.0) == pytest.approx((7.0, 7.0, 7.0))
    assert fitted({}) == Recalibration()


def test_a_metric_that_the_objective_does_not_weigh_may_be_unknown():
    names = [f"c{i}" for i in range(9)]
    truth = {n: {"heldout": float(i), "choice_accuracy": 0.5} for i, n in enumerate(names)}
    raw = {n: {"heldout": 2.0 * i} for i, n in enumerate(names)}  # has no choice accuracy
    metrics = ["heldout", "choice_accuracy"]
    fitted = objective_recalibration(Objective({"heldout": 1.0}), metrics, truth, raw, names, 0.9)
    assert fitted.slope == pytest.approx(0.5)
    unknown = np.array([[3.0, np.nan]])
    assert Objective({"heldout": 1.0}).of(metrics, unknown).tolist() == [3.0]

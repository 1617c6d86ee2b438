"""Fresh retrainings remove the luck of the choice from a gain."""

from itertools import combinations

import numpy as np
import pytest

from trainorder.curriculum.fresh_gains import BEST, expected_choice, fresh_gains, shortfall

RANDOM = [f"random-{i}" for i in range(6)]
STUDY = dict(zip(RANDOM, [5.0, 3.0, 4.0, 6.0, 5.5, 3.5], strict=True)) | {"steps-1": 2.0}


def fresh(**changes):
    return dict(zip(RANDOM, [5.0, 4.5, 4.0, 5.5, 6.0, 4.2], strict=True)) | {
        "steps-1": 3.0,
        "steps-2": 1.0,
        **changes,
    }


@pytest.mark.parametrize("n", [1, 2, 4, 6, 9])
def test_the_expected_choice_is_the_mean_over_all_draws(n):
    values, results = np.array([3.0, 1.0, 2.0, 7.0, 5.0, 4.0]), np.arange(6) ** 2.0
    draws = [results[min(d, key=lambda i: values[i])] for d in combinations(range(6), min(n, 6))]
    assert expected_choice(values, results, n) == pytest.approx(np.mean(draws))


def test_the_winner_of_the_study_is_judged_and_not_the_best_fresh_order():
    result = fresh_gains(fresh(), STUDY, "steps-1", RANDOM, RANDOM, 3)
    assert result["winner"] == 3.0
    assert result["random"]["n"] == 6
    assert result["gains"]["random_mean"]["value"] == pytest.approx(np.mean([29.2 / 6]) - 3.0)


def test_the_baseline_is_chosen_in_the_study():
    result = fresh_gains(fresh(), STUDY, "steps-1", RANDOM, RANDOM, 6)
    assert result["gains"]["same_compute"]["value"] == pytest.approx(4.5 - 3.0), (
        "the best random order of the study, random-1, is not the baseline"
    )
    spread = np.std([5.0, 4.5, 4.0, 5.5, 6.0, 4.2], ddof=1)
    assert result["gains"]["same_compute"]["in_spreads"] == pytest.approx(1.5 / spread)


def test_the_baseline_is_chosen_of_all_random_orders_of_the_study():
    """Also of those outside the sample that gives the mean: the best ones are retrained afresh."""
    drawn = [*RANDOM, "calibration-0", "random-9"]
    study = {**STUDY, "calibration-0": 2.5, "random-9": 9.0}
    values = fresh(**{"calibration-0": 3.8})
    result = fresh_gains(values, study, "steps-1", drawn, RANDOM, 8)
    assert result["random"]["mean"] == pytest.approx(29.2 / 6), "the best orders bias the mean"
    assert result["gains"]["same_compute"]["value"] == pytest.approx(3.8 - 3.0)
    assert result["compute"] == {"random_orders_for_it": 8, "random_orders_had": 8}


def test_an_unknown_result_and_what_is_behind_it_do_not_count():
    values, results = [1.0, 2.0, 3.0, 4.0], np.array([5.0, 6.0, np.nan, 1.0])
    assert expected_choice(values, results, 2) == pytest.approx((3 * 5.0 + 2 * 6.0) / 5)


@pytest.mark.parametrize(("share", "chance"), [(0.25, 0.9), (0.5, 0.996)])
def test_the_baseline_is_nearly_always_one_of_the_best(share, chance):
    m = 88
    ranks = np.arange(m, dtype=float)
    is_best = np.where(ranks < BEST, 1.0, 0.0)
    assert expected_choice(ranks, is_best, round(share * m)) > chance - 0.005


def test_a_gain_that_was_luck_vanishes_in_fresh_retrainings():
    result = fresh_gains(fresh(**{"steps-1": 4.9}), STUDY, "steps-1", RANDOM, RANDOM, 1)
    assert abs(result["gains"]["random_mean"]["value"]) < 0.1


@pytest.mark.parametrize(("n", "line"), [(6, None), (7, "the best of 6 random orders, not of 7")])
def test_a_baseline_of_fewer_orders_than_the_compute_retrains_is_told(n, line):
    compute = fresh_gains(fresh(), STUDY, "steps-1", RANDOM, RANDOM, n)["compute"]
    assert compute == {"random_orders_for_it": n, "random_orders_had": 6}
    told = shortfall(compute)
    assert told is None if line is None else line in told

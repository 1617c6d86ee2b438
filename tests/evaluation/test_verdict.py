"""The verdict follows its documented rule, and uses only the calibration orders."""

import pytest

from trainorder.evaluation.verdict import ADVICE, best_estimator, selected_estimator, verdict


@pytest.mark.parametrize(
    ("low", "n", "error", "diverged", "expected"),
    [
        (0.81, 16, 0.4, 0, "trusted"),
        (0.81, 16, 0.6, 0, "rank only"),
        (0.81, 16, None, 0, "rank only"),
        (0.79, 16, 0.1, 0, "rank only"),
        (0.49, 16, 0.1, 0, "not trusted"),
        (0.9, 16, 0.1, 1, "not trusted"),
        (0.9, 7, 0.1, 0, "not calibrated"),
        (None, 16, 1.0, 0, "not trusted"),
        (None, 0, None, 0, "not calibrated"),
        (0.4, 7, 0.1, 2, "not trusted"),
    ],
)
def test_verdict_follows_the_documented_rule(low, n, error, diverged, expected):
    rank = {"value": None if low is None else low + 0.05, "low": low, "high": 1.0, "n": n}
    result = verdict(rank, error, diverged)
    assert result.verdict == expected, result.reason
    for sentence in (result.reason, result.advice):
        assert sentence
        assert "\n" not in sentence


def test_the_best_estimator_is_chosen_without_the_held_back_orders():
    def score(low, calibration_error, random_error):
        rank = {"calibration": {"low": low}, "random": {"low": 1.0 - low}}
        errors = {"calibration": calibration_error, "random": random_error}
        return {
            "verdict": "trusted",
            "order_lds": {"heldout": rank},
            "relative_error": {"heldout": errors},
        }

    assert best_estimator({"a": score(0.9, 0.3, 0.0), "b": score(0.9, 0.2, 9.0)}) == "b"


def test_each_verdict_has_its_own_advice():
    assert len(set(ADVICE.values())) == len(ADVICE) == 4


def test_an_untrusted_estimator_is_preferred_to_an_uncalibrated_one():
    def score(verdict, low):
        return {"verdict": verdict, "order_lds": {"heldout": {"calibration": {"low": low}}}}

    scores = {"a": score("not calibrated", None), "b": score("not trusted", 0.1)}
    assert best_estimator(scores) == "b"
    assert best_estimator(scores | {"c": score("rank only", 0.5)}) == "c"


def test_the_selected_estimator_is_the_cheapest_of_the_best_verdict():
    def score(verdict, total, low=0.9):
        rank = {"heldout": {"calibration": {"low": low}}}
        return {"verdict": verdict, "order_lds": rank, "cost": {"total_retrainings": total}}

    scores = {
        "nystrom@reference": score("trusted", None),
        "taylor1@reference": score("trusted", 40.0),
        "corrected8@reference": score("trusted", 10.0),
        "constant@reference": score("rank only", 1.0),
    }
    assert selected_estimator(scores) == "corrected8@reference"
    reduced = {"reduced@barycentre": score("trusted", 5.0)}
    assert selected_estimator(scores | reduced) == "corrected8@reference", "it gives parameters"
    without = {name: one for name, one in scores.items() if one["verdict"] != "trusted"}
    assert selected_estimator(without | reduced) == "reduced@barycentre"
    none = {
        "order0@reference": score("not calibrated", 1.0, None),
        "fut@reference": score("not trusted", 9.0, 0.1),
    }
    assert selected_estimator(none) == "fut@reference", "none can rank, so no cost matters"

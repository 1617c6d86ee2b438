"""Probing goes on until a trusted level is hardly better than the one before it."""

import pytest

from trainorder.evaluation.rank_levels import (
    NO_BUDGET,
    OUT_OF_BUDGET,
    RankLevel,
    at_the_largest,
    enough,
)


def level(verdict, error, rank=24, cost=10.0):
    scores = {
        "verdict": verdict,
        "verdict_reason": "why",
        "order_lds": {"heldout": {"calibration": {"value": 0.9, "low": 0.8, "high": 1.0, "n": 24}}},
        "relative_error": {"heldout": {"calibration": error}},
    }
    return RankLevel(rank, 20, [16], cost, scores)


@pytest.mark.parametrize(
    ("levels", "stops"),
    [
        ([("trusted", 0.1)], False),  # a first level gained nothing yet
        ([("trusted", 0.40), ("trusted", 0.35)], False),  # an eighth less
        ([("trusted", 0.40), ("trusted", 0.37)], True),
        ([("trusted", 0.40), ("trusted", 0.45)], True),  # no better at all
        ([("rank only", 0.40), ("trusted", 0.39)], True),
        ([("trusted", 0.40), ("rank only", 0.39)], False),  # only a trusted level is enough
        ([("not trusted", 1.0), ("not trusted", 1.0)], False),
        ([("trusted", 0.40), ("trusted", 0.20), ("trusted", 0.19)], True),
        ([("trusted", 0.40), ("trusted", 0.39), ("trusted", 0.20)], False),  # the last round counts
        ([("not trusted", None), ("trusted", 0.2)], False),  # an unknown gain
    ],
)
def test_probing_stops_when_a_trusted_level_gains_less_than_a_tenth(levels, stops):
    assert enough([level(*entry) for entry in levels]) == stops


def test_without_enough_calibration_orders_no_level_is_enough():
    untried = RankLevel(24, 20, [5, 16, 26], 10.0, None)
    assert not enough([untried, untried])
    record = untried.record()
    assert record["verdict"] == "not calibrated"
    assert record["order_lds"] is record["relative_error"] is None
    text = untried.as_text()
    assert "relative error unknown" in text
    assert "rank 24, pools of 20, probed at steps 5, 16, 26 (precompute of 10.0" in text


@pytest.mark.parametrize(("cost", "reason"), [(15.9, OUT_OF_BUDGET), (16.1, NO_BUDGET)])
def test_the_reason_says_whether_the_budget_was_spent_before_probing(cost, reason):
    assert at_the_largest(level("trusted", 0.4, cost=cost), 16) == reason


def test_a_level_is_recorded_with_its_cost_and_its_errors():
    assert level("trusted", 0.4, rank=48, cost=12.5).record() == {
        "rank": 48,
        "pool": 20,
        "probed_steps": [16],
        "precompute_retrainings": 12.5,
        "order_lds": {"value": 0.9, "low": 0.8, "high": 1.0, "n": 24},
        "relative_error": 0.4,
        "verdict": "trusted",
        "verdict_reason": "why",
    }

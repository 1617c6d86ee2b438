"""The ladder takes the smallest trusted size, and says what the next one costs."""

import pytest

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.ladder import LadderConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.errors import UserError
from trainorder.evaluation.ladder import Level, climbed, ladder_record, selected, selected_config


def level(size, verdict, low=0.5, error=0.4):
    rank = {"value": low + 0.1, "low": low, "high": 1.0, "n": 24}
    scores = {
        "verdict": verdict,
        "verdict_reason": "why",
        "order_lds": {"heldout": {"calibration": rank}},
        "relative_error": {"heldout": {"calibration": error}},
    }
    return Level(size, size / 64, scores)


def climbing(verdicts, errors=None, enough=0.5):
    """Return the levels of a climb through sizes with these verdicts, and the sizes measured."""
    asked = []

    def measured(size):
        asked.append(size)
        return level(size, verdicts[size], **({"error": errors[size]} if errors else {}))

    return climbed(verdicts, measured, enough), asked


def test_the_climb_ends_at_the_first_trusted_size():
    levels, asked = climbing({2: "not trusted", 4: "trusted", 8: "trusted"})
    assert asked == [2, 4], "a size above a trusted one was measured, or a smaller one left out"
    assert selected(levels).size == 4


def test_the_climb_goes_on_until_the_relative_error_is_small_enough():
    verdicts = dict.fromkeys((2, 4, 8, 16), "trusted")
    errors = {2: 0.45, 4: 0.35, 8: 0.2, 16: 0.1}
    levels, asked = climbing(verdicts, errors, enough=0.3)
    assert asked == [2, 4, 8]
    assert selected(levels).size == 8
    levels, asked = climbing(verdicts, errors, enough=0.05)
    assert asked == [2, 4, 8, 16]
    record = ladder_record(levels, study="s", estimator="e", most=16, whole=64, error=0.05)
    assert record["selected"] == 16
    assert record["reason"].startswith("no size up to 16"), "16 is not accurate enough"


def test_without_a_trusted_size_the_best_verdict_wins_and_then_the_highest_lower_end():
    levels = [
        level(2, "not trusted", low=0.9),
        level(4, "rank only", low=0.6),
        level(8, "rank only", low=0.7),
        level(16, "rank only", low=0.65),
    ]
    assert selected(levels).size == 8


@pytest.mark.parametrize(
    ("tried", "verdict", "following"),
    [
        ([2, 4], "trusted", 8),
        ([2, 4, 8, 16], "trusted", 21),  # the largest size of the budget comes before the next 2^n
        ([2, 4, 8, 16, 21], "rank only", 42),  # beyond the budget
        ([40], "rank only", 64),  # no size is above the whole unit
        ([64], "trusted", None),
    ],
)
def test_the_record_states_the_cost_of_the_next_size(tried, verdict, following):
    levels = [level(size, "not trusted") for size in tried[:-1]] + [level(tried[-1], verdict)]
    most = max(21, tried[-1])
    record = ladder_record(levels, study="s", estimator="e", most=most, whole=64, error=0.5)
    assert [entry["size"] for entry in record["levels"]] == tried
    assert record["levels"][-1] == {
        "size": tried[-1],
        "per_order_retrainings": tried[-1] / 64,
        "order_lds": {"value": 0.6, "low": 0.5, "high": 1.0, "n": 24},
        "relative_error": 0.4,
        "verdict": verdict,
        "verdict_reason": "why",
    }
    assert record["selected"] == tried[-1]
    if following is None:
        assert record["next"] is None
    else:
        assert record["next"] == {"size": following, "per_order_retrainings": following / 64}
    assert ("no size up to" in record["reason"]) == (verdict != "trusted")


@pytest.mark.parametrize(
    ("unit_size", "units_per_step", "per_order", "sizes"),
    [
        (64, 1, 0.34, [2, 4, 8, 16, 21]),
        (256, 1, 1 / 8, [2, 4, 8, 16, 32]),
        (8, 1, 1.0, [2, 4, 8]),
        (2, 1, 0.34, [1]),  # the budget allows no sequence, and one is the least
        (1, 16, 0.25, [2, 4]),  # of the 16 units of a step
    ],
)
def test_sizes_double_within_the_budget(unit_size, units_per_step, per_order, sizes):
    window = WindowConfig(units=16, unit_size=unit_size, units_per_step=units_per_step)
    assert LadderConfig(per_order=per_order).sizes(window) == sizes
    assert sizes[-1] <= max(1, per_order * unit_size * units_per_step), "above the budget"


def test_residuals_of_all_sizes_that_may_be_selected_are_stored():
    window, ladder = WindowConfig(unit_size=64), LadderConfig(per_order=0.25)
    opened = EstimatorConfig(method="corrected", path="reference")
    assert opened.size_is_open
    assert opened.residual_sizes(window, ladder) == [2, 4, 8, 16]
    fixed = EstimatorConfig(method="corrected", path="reference", size=10)
    assert not fixed.size_is_open
    assert fixed.residual_sizes(window, ladder) == [10]


def test_the_selected_size_is_that_of_the_record():
    opened = EstimatorConfig(method="corrected", path="reference")
    record = {"estimator": "corrected@reference", "selected": 8}
    assert selected_config(opened, record).name == "corrected8@reference"
    for wrong in ({}, {"estimator": "other", "selected": 8}, {**record, "selected": None}):
        with pytest.raises(UserError, match=r"ladder\.json: states no size .*rerun rule `ladder`"):
            selected_config(opened, wrong)

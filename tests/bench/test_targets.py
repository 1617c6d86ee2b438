"""Targets of the rows of the benchmark: the selected estimator, and what is missed."""

import pytest

from bench.targets import CHEAP, estimators, judged, missed, selected, share, target_text
from transfer_records import cell, entry

TARGET = {"order_lds": 0.9, "relative_error": 0.6, "per_order_retrainings": 1 / 4}


def test_the_baseline_is_not_an_estimator_of_the_study():
    assert list(estimators(cell("one", level2=entry()))) == ["level2@reference"]


def test_the_selected_estimator_is_that_of_the_ladder():
    study = cell("one", target=TARGET, level=entry(0.92, per_order=0.25), fixed=entry(0.99))
    assert selected(study)[0] == "level@reference"
    assert missed(study) == []


def test_an_estimator_that_costs_too_much_misses_its_target():
    study = cell("one", target=TARGET, large=entry(0.99, per_order=0.5))
    assert missed(study) == ["cost per order 0.5 instead of 1/4"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rank": 0.85}, "order-LDS 0.85 instead of 0.9"),
        ({"rank": None}, "order-LDS undefined instead of 0.9"),
        ({"error": 0.7}, "relative error 0.7 instead of 0.6"),
        ({"relative_error": None}, "relative error undefined instead of 0.6"),
        ({"verdict": "not trusted"}, "not trusted"),
        ({"precompute": 3.0}, "precompute 3 instead of 2"),
    ],
)
def test_each_missed_part_is_named_with_its_number(change, reason):
    target = {**TARGET, "precompute_retrainings": 2, "verdicts": ["trusted", "rank only"]}
    level = entry(**{"rank": 0.95, "per_order": 0.2, **change})
    assert missed(cell("one", target=target, level=level)) == [reason]


def test_a_start_from_scratch_must_be_called_unpredictable_with_bounded_errors():
    target = {"growth": 10, "largest_error": 1.05}
    honest = cell("one", growth=19, target=target, level=entry(0.4, 1.02, verdict="not trusted"))
    assert missed(honest) == []
    diverged = {**honest, "growth": {"value": None, "low": None, "high": None, "n": 3}}
    assert missed(diverged) == []
    wrong = cell("one", growth=5, target=target, level=entry(0.4, 1.2))
    assert missed(wrong) == ["growth 5 instead of 10", "relative error 1.2 instead of 1.05"]
    undefined = cell("one", growth=19, target=target, level=entry(0.4, relative_error=None))
    assert missed(undefined) == ["relative error undefined instead of 1.05"]


@pytest.mark.parametrize(
    ("growth", "verdict", "count"),
    [(1.0, "rank only", 1), (1.0, "trusted", 0), (1.5, "rank only", 0)],
)
def test_a_study_must_be_trusted_where_growth_is_low(growth, verdict, count):
    target = {"trusted_below_growth": 1.2}
    study = cell("one", growth=growth, target=target, level=entry(verdict=verdict))
    assert len(missed(study)) == count


def test_a_diverged_study_misses_its_target():
    study = {"label": "one", "values": {}, "target": TARGET, "diverged": "warm-up: step 3"}
    assert selected(study) is None
    assert missed(study) == ["training diverged"]


def test_a_target_is_written_with_its_bounds_and_a_study_without_one_is_reported():
    assert target_text(TARGET) == "order-LDS ≥ 0.9; error ≤ 0.6; per order ≤ 1/4"
    assert target_text({"verdicts": ["trusted", "rank only"]}) == "trusted or rank only"
    assert target_text({}) == "reported"
    assert [share(value) for value in (1 / 6, 0.5, 0.3, 2)] == ["1/6", "1/2", "0.3", "2"]


def with_cheap_estimators(**changes):
    target = {"order_lds": 0.9, CHEAP: {"order_lds": 0.95, "per_order_retrainings": 1 / 20}}
    levels = {
        "level": entry(0.92, per_order=0.15),
        "slow": entry(0.96, per_order=0.04, calibration_order_lds={"value": 0.97}),
        "fast": entry(0.99, per_order=0.0, calibration_order_lds={"value": 0.94}),
    }
    return cell("one", target=target, **(levels | changes))


def test_the_cheap_estimator_ranks_the_calibration_orders_best_within_its_cost():
    first, cheap = judged(with_cheap_estimators())
    assert (first.name, first.target) == ("level@reference", {"order_lds": 0.9})
    assert cheap.name == "slow@reference", "chosen by the random orders, or by the cost alone"
    assert missed(with_cheap_estimators()) == []


def test_a_missed_target_of_the_cheap_estimator_is_named():
    undefined = entry(None, per_order=0.0)
    study = with_cheap_estimators(slow=entry(0.9, per_order=0.05), fast=undefined)
    assert missed(study) == ["cheap estimator: order-LDS 0.9 instead of 0.95"]
    expensive = with_cheap_estimators(
        slow=entry(0.99, per_order=0.06), fast=entry(0.99, per_order=0.1)
    )
    assert missed(expensive) == ["cheap estimator: none costs at most 1/20 per order"]

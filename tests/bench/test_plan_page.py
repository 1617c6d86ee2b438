"""The page of planned and actual costs lists the large differences and ignores the others."""

import pytest

from bench.config_hash import config_hash
from bench.plan import SMALL, WITHIN, deviations, markdown
from bench.plan_comparison import Pair

RECORD = {
    "study": "mine",
    "parameters": 1000,
    "threads": 1,
    "assumed": ["that it works"],
    "left_out": ["the rest"],
    "provenance": {"versions": {"python": "3"}, "machine": {"processor": "some", "cores": 2}},
}

CONFIG = {"seeds": {"init": 0}}


def stage(**pairs):
    """Return a stage with equal planned and actual numbers, except for some pairs."""
    usual = {"gradients": 10, "seconds": 60.0, "bytes": 10**9, "peak_bytes": 10**9}
    return {kind: Pair(n, n) for kind, n in usual.items()} | {
        kind: Pair(*pair) for kind, pair in pairs.items()
    }


def test_a_stage_as_planned_is_not_listed():
    comparison = {"truth": stage(), "warm": stage(gradients=(10, 10 * WITHIN))}
    assert deviations(comparison) == []
    assert "All numbers agree." in markdown(RECORD, comparison, CONFIG)


OFF = {
    "too few gradients": {"gradients": (10, 16)},
    "too many": {"gradients": (16, 10)},
    "passes that were not planned": {"hvps": (0, 1)},
    "seconds": {"seconds": (60.0, 100.0)},
    "disk": {"bytes": (10**9, 2 * 10**9)},
    "disk that was not planned": {"bytes": (0, 10**9)},
    "memory": {"peak_bytes": (10**9, 9 * 10**9)},
}


@pytest.mark.parametrize("case", OFF)
def test_a_deviation_is_listed_on_the_page(case):
    [kind] = OFF[case]
    comparison = {"truth": stage(), "warm": stage(**OFF[case])}
    [line] = deviations(comparison)
    assert line.startswith(f"warm: {kind}: planned ")
    page = markdown(RECORD, comparison, CONFIG)
    assert f"* {line}" in page
    assert "These numbers do not agree:" in page


NOT_JUDGED = {
    "seconds of a short stage": {"seconds": (SMALL["seconds"] / 9, 2.0)},
    "seconds that the plan leaves out": {"seconds": (0.0, 100.0)},
    "small files": {"bytes": (0, SMALL["bytes"] / 2)},
    "memory of a small stage": {"peak_bytes": (SMALL["peak_bytes"] / 9, SMALL["peak_bytes"] / 2)},
}


@pytest.mark.parametrize("case", NOT_JUDGED)
def test_small_numbers_are_not_listed(case):
    assert deviations({"warm": stage(**NOT_JUDGED[case])}) == []


def test_the_page_has_every_stage_and_the_assumptions_of_the_plan():
    page = markdown(RECORD, {"truth": stage(), "warm": stage(gradients=(10, 12))}, CONFIG)
    for part in (
        config_hash(CONFIG),
        "`truth` | exact",
        "`warm` | gradients 10 / 12",
        "that it works",
        "the rest",
    ):
        assert part in page, f"`{part}` is not on the page"


def test_a_factor_is_symmetric_and_infinite_if_one_side_is_zero():
    assert Pair(2, 3).factor == Pair(3, 2).factor == 1.5
    assert Pair(0, 0).factor == Pair(7, 7).factor == 1
    assert Pair(0, 1).factor == Pair(1, 0).factor == float("inf")

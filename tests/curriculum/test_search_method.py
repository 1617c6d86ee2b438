"""The study searches globally where the estimators of the global search can rank orders."""

import pytest

from trainorder.curriculum.search_method import search_method

NAMES = ("reduced@barycentre", "corrected@reference")


def scores(*verdicts):
    return {
        name: {"verdict": verdict, "verdict_reason": f"why {name}"}
        for name, verdict in zip(NAMES, verdicts, strict=True)
    }


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("trusted", "trusted"), "global"),
        (("rank only", "trusted"), "global"),
        (("rank only", "rank only"), "global"),
        (("not trusted", "trusted"), "steps"),
        (("trusted", "not trusted"), "steps"),
        (("not calibrated", "rank only"), "steps"),
    ],
)
def test_both_estimators_must_rank_orders_for_a_global_search(verdicts, expected):
    assert search_method("auto", NAMES, scores(*verdicts)).method == expected


def test_the_reason_names_the_estimator_that_fails():
    reason = search_method("auto", NAMES, scores("trusted", "not trusted")).reason
    assert "corrected@reference, which is not trusted: why corrected@reference" in reason


@pytest.mark.parametrize("configured", ["global", "steps"])
def test_a_configured_method_needs_no_verdict(configured):
    assert search_method(configured, NAMES, {}).method == configured

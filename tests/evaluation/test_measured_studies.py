"""A new study is told how measured studies of the same predictability ended."""

from trainorder.evaluation.measured_studies import measured_studies, what_to_expect
from trainorder.evaluation.predictability import (
    HARD,
    PREDICTABLE,
    PREDICTABLE_GROWTH,
    UNPREDICTABLE,
    UNPREDICTABLE_GROWTH,
)


def study(words, verdict, rank=0.9):
    return {"expectation": words, "verdict": verdict, "order_lds": rank}


def test_only_studies_of_the_same_expectation_count_and_the_worst_is_named():
    studies = [
        study("a", "trusted", 0.97),
        study("a", "rank only", 0.81),
        study("a", "trusted", None),
        study("b", "not trusted", -0.2),
    ]
    assert what_to_expect("a", studies) == (
        "verdicts of 3 measured studies like this: 2 trusted, 1 rank only; order-LDS 0.81 to 0.97"
    )
    assert what_to_expect("c", studies) is None


def test_a_study_without_a_ranking_has_no_range():
    assert what_to_expect("b", [study("b", "not trusted", None)]) == (
        "verdicts of 1 measured studies like this: 1 not trusted"
    )


def test_the_words_of_the_measured_studies_follow_from_their_growth():
    limits = {PREDICTABLE: (0.0, PREDICTABLE_GROWTH), HARD: (0.0, UNPREDICTABLE_GROWTH)}
    limits[UNPREDICTABLE] = (UNPREDICTABLE_GROWTH, float("inf"))
    for one in measured_studies():
        if one["growth"] is not None:  # the upper end of its interval counts, too
            low, high = limits[one["expectation"]]
            assert low <= one["growth"] <= high, one["study"]

"""A new study is told how measured studies of the same class of growth ended."""

import pytest

from trainorder.evaluation.measured_studies import measured_studies, what_to_expect
from trainorder.evaluation.predictability import (
    HARD,
    PREDICTABLE,
    PREDICTABLE_GROWTH,
    UNPREDICTABLE,
    UNPREDICTABLE_GROWTH,
    class_of,
)
from trainorder.evaluation.verdict import ADVICE, RANK_ONLY, TRUSTED

CLASSES = {class_of(words): words for words in (PREDICTABLE, HARD, UNPREDICTABLE)}


def study(name, verdict, rank=0.9):
    return {"class": name, "verdict": verdict, "order_lds": rank}


def test_only_studies_of_the_same_class_count_and_the_worst_is_named():
    studies = [
        study("a", "trusted", 0.97),
        study("a", "rank only", 0.81),
        study("a", "trusted", None),
        study("b", "not trusted", -0.2),
    ]
    assert what_to_expect("a: in words", studies) == (
        "3 measured studies like this: 2 trusted, 1 rank only; order-LDS 0.81 to 0.97"
    )
    assert what_to_expect("c", studies) is None


def test_a_study_without_a_ranking_has_no_range():
    expected = "1 measured study like this: 1 not trusted"
    assert what_to_expect("b", [study("b", "not trusted", None)]) == expected


def test_a_single_rank_is_no_range():
    studies = [study("b", "rank only", 0.917), study("b", "rank only", 0.923)]
    assert what_to_expect("b", studies).endswith("2 rank only; order-LDS 0.92")


def test_the_class_of_a_measured_study_follows_from_its_growth():
    limits = {PREDICTABLE: (0.0, PREDICTABLE_GROWTH), HARD: (0.0, UNPREDICTABLE_GROWTH)}
    limits[UNPREDICTABLE] = (UNPREDICTABLE_GROWTH, float("inf"))
    for one in measured_studies():
        if one["growth"] is not None:  # the upper end of its interval counts, too
            low, high = limits[CLASSES[one["class"]]]
            assert low <= one["growth"] <= high, one["study"]


@pytest.mark.parametrize("name", CLASSES)
def test_the_words_of_a_class_promise_nothing_that_a_measured_study_contradicts(name):
    words = CLASSES[name]
    verdicts = [one["verdict"] for one in measured_studies() if one["class"] == name]
    for verdict in ADVICE:
        assert verdict not in words, f"{words!r} promises the verdict {verdict!r}"
    if "can still rank orders" in words and verdicts:
        assert {TRUSTED, RANK_ONLY} & {*verdicts}, f"no measured study is like {words!r}"
    told = what_to_expect(words, measured_studies()) or ""
    for verdict in verdicts:
        assert f"{verdicts.count(verdict)} {verdict}" in told, "a verdict is not told"

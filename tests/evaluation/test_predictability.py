"""The record of predictability: its intervals, its words, and its JSON."""

import json
import math

import numpy as np
import pytest

from trainorder.errors import UserError
from trainorder.evaluation.predictability import (
    HARD,
    PREDICTABLE,
    UNKNOWN,
    UNPREDICTABLE,
    Predictability,
    Response,
    number_text,
    predictability_record,
)
from trainorder.evaluation.result_files import PREDICTABILITY


def record(*growths, linearities=(), **changes):
    """Return a record of directions with these growths; the first ones have a linearity."""
    rest = [None] * (len(growths) - len(linearities))
    responses = [
        Response(0.05, 0.1, growth, linearity)
        for growth, linearity in zip(growths, [*linearities, *rest], strict=True)
    ]
    values = {"first_steps": 4, "gradients": 138, "retrainings": 4.3125, "confidence": 0.95}
    return predictability_record(responses, study="s", **values | changes)


def shown(*growths, **more):
    return Predictability.of(json.loads(json.dumps(record(*growths, **more), allow_nan=False)))


def test_the_record_has_the_fields_of_the_definition():
    assert set(record(0.6, 0.7)) == {*PREDICTABILITY.fields}


def test_growth_is_the_geometric_mean():
    assert shown(1.0, 4.0, 2.0).growth.value == pytest.approx(2.0)
    assert shown(1.0, 4.0, 2.0).growth.n == 3


def test_the_interval_covers_the_true_growth_as_often_as_it_says():
    rng, inside, draws = np.random.default_rng(0), 0, 2000
    for growths in np.exp(0.3 + 0.2 * rng.standard_normal((draws, 3))):
        growth = shown(*growths, confidence=0.9).growth
        inside += growth.low <= math.exp(0.3) <= growth.high
    assert inside / draws == pytest.approx(0.9, abs=0.02)


def test_linearity_is_the_mean_over_the_directions_that_have_one():
    linearity = shown(1.0, 1.0, 1.0, linearities=[0.8, 0.9]).linearity
    assert (linearity.value, linearity.n) == (pytest.approx(0.85), 2)
    assert shown(1.0, 1.0, linearities=[0.8]).linearity.low is None, "an interval from one number"


@pytest.mark.parametrize(
    ("growth", "words"),
    [(0.63, PREDICTABLE), (1.2, PREDICTABLE), (1.7, HARD), (9.9, HARD), (19.0, UNPREDICTABLE)],
)
def test_words_follow_the_thresholds(growth, words):
    result = shown(growth, growth, linearities=[0.9, 0.9])
    assert result.expectation == words
    text = number_text(growth)
    assert (
        result.as_text() == f"growth {text} [{text}, {text}], linearity 0.90 [0.90, 0.90]; {words}"
    )


def test_the_line_says_why_a_number_or_an_interval_is_missing():
    line = shown(1.1).as_text()
    assert "growth 1.10 (one direction, no interval)" in line
    assert "no linearity (no response is finite and not 0)" in line


def test_a_training_is_predictable_only_if_the_whole_interval_is():
    wide = shown(0.8, 0.7, 1.1)
    assert wide.growth.value < 1.2 < wide.growth.high
    assert wide.expectation == HARD
    assert shown(1.1).expectation == PREDICTABLE, "one direction has no interval"


def test_numbers_have_the_digits_that_matter():
    assert [number_text(x) for x in (0.604, 0.996, 19.2, 12345.0)] == [
        *("0.60", "1.00", "19.2", "1.23e+04")
    ]


def test_a_diverged_training_has_a_reason_and_no_growth():
    result = shown(0.6, math.inf, 0.7, linearities=[0.9])
    assert result.growth[:3] == (None, None, None)
    assert result.reason == "diverged in 1 of 3 perturbed trainings"
    assert result.expectation == UNPREDICTABLE
    line = result.as_text()
    assert line.startswith("no growth (diverged in 1 of 3 perturbed trainings), linearity 0.90 ")
    assert record(math.inf)["directions"][0]["growth"] is None


def test_without_any_effect_of_the_order_nothing_is_known():
    result = shown()
    assert result.reason == "random orders change no parameter in their first 4 steps"
    assert result.expectation == UNKNOWN


@pytest.mark.parametrize("field", ["growth", "linearity", "expectation", "reason", "cost"])
def test_a_record_without_a_field_raises_one_line_with_file_and_rule(field):
    content = record(0.6)
    del content[field]
    with pytest.raises(UserError, match=r"predictability\.json: .*rerun rule `predictability`"):
        Predictability.of(content)


@pytest.mark.parametrize("content", [None, [], 3, {"growth": 3}, {"growth": {"mean": 3}}])
def test_another_content_raises_one_line(content):
    with pytest.raises(UserError, match=r"predictability\.json: .*rerun rule `predictability`"):
        Predictability.of(content)

"""Causes of missed accuracy, told apart by growth and by the errors of the ladder's sizes."""

import pytest

from bench.causes import causes, error_fall
from transfer_records import cell, entry


def levels(errors, first=2):
    return [{"size": first * 2**k, "relative_error": error} for k, error in enumerate(errors)]


def test_the_noise_of_a_draw_falls_with_the_square_root_of_its_size():
    assert error_fall(levels([0.8 * 2 ** (-k / 2) for k in range(4)])) == pytest.approx(2**0.5)
    assert error_fall(levels([0.4] * 4)) == pytest.approx(1)


def test_small_sizes_whose_error_is_that_of_no_effect_do_not_count():
    assert error_fall(levels([1.0, 1.0, 0.8, 0.4, 0.2])) == pytest.approx(2)


def test_a_single_size_and_an_undefined_error_have_no_fall():
    assert error_fall(levels([0.5])) is None
    assert error_fall(levels([None, 0.5])) is None


@pytest.mark.parametrize(
    ("growth", "errors", "expected"),
    [
        (0.6, (0.8, 0.5), ["noise of the draw (twice the size divides the error by 1.60)"]),
        (0.6, (0.5, 0.5), ["drift over the window (twice the size divides the error by 1.00)"]),
        (1.6, (0.5, 0.5), ["growth above 1.2", "drift over the window"]),
        (None, (0.8, 0.5), ["growth above 1.2", "noise of the draw"]),
    ],
)
def test_growth_noise_and_drift_are_told_apart(growth, errors, expected):
    study = cell("one", growth=growth or 1.0, small=entry(), large=entry())
    study["growth"]["value"] = growth
    study["ladder"]["levels"] = levels(errors)
    found = causes(study)
    assert len(found) == len(expected)
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True))

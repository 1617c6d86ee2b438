"""The calibrated range is that of the raw estimates of the calibration orders, with a margin."""

import numpy as np
import pytest

from trainorder.evaluation.calibrated_range import calibrated_range, is_beyond


def test_the_range_is_widened_by_the_standard_deviation():
    assert calibrated_range([4.0, 4.2, 4.1]) == pytest.approx([3.9, 4.3])
    assert calibrated_range([4.0, 4.0]) == [4.0, 4.0]


def test_the_ends_are_inside_and_an_estimate_that_is_not_finite_is_outside():
    inside = [is_beyond(x, [3.95, 4.25]) for x in (3.95, 4.25, 3.9, np.nan, np.inf)]
    assert inside == [False, False, True, True, True]

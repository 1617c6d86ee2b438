"""Position features are smooth, sum over visits, and distinguish orders of the same units."""

import numpy as np
import pytest

from trainorder.estimators.baselines.positions import DEGREE, position_curves, position_features

LABELS = ["sea", "hill", "sea", "mixed"]


def features(*schedules):
    return position_features([np.array(schedule) for schedule in schedules], LABELS)


def test_curves_are_orthogonal_and_smoother_curves_are_larger():
    curves = position_curves(4000)
    gram = curves.T @ curves / len(curves)
    assert np.allclose(gram, np.diag(1 / np.arange(1, DEGREE + 1) ** 2), atol=1e-2)
    assert np.allclose(curves.mean(0), 0, atol=1e-3), "identical units would have an effect"


def test_the_features_of_a_label_are_the_sum_over_its_units():
    blocks = features([[0], [1], [2], [3]])[0].reshape(-1, DEGREE)
    labels, units = blocks[:3], blocks[3:]
    assert np.allclose(labels, [units[1], units[3], units[0] + units[2]]), "hill, mixed, sea"
    assert np.allclose(units, position_curves(4)), "the features of a unit belong to another step"


def test_visits_add_up_and_absent_units_have_zero_features():
    blocks = features([[0, 2], [0, 0]])[0].reshape(-1, DEGREE)[3:]
    curves = position_curves(2)
    assert np.allclose(blocks[0], curves[0] + 2 * curves[1])
    assert np.allclose(blocks[1], 0)


def test_features_depend_on_the_order_of_steps_and_not_on_the_order_within_a_step():
    original, swapped_units, swapped_steps = features(
        [[0, 1], [2, 3]], [[1, 0], [3, 2]], [[2, 3], [0, 1]]
    )
    assert np.array_equal(original, swapped_units)
    assert not np.allclose(original, swapped_steps)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_reversing_an_order_changes_the_sign_of_odd_curves(steps):
    curves = position_curves(steps)
    assert np.allclose(curves[::-1, ::2], -curves[:, ::2], atol=1e-12)
    assert np.allclose(curves[::-1, 1::2], curves[:, 1::2], atol=1e-12)

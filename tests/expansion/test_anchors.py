"""Anchors are selected where gradients, or deviations from their cluster, leave a straight line."""

import numpy as np
import torch

from problems import Polynomial
from trainorder.expansion.anchors import Anchors, MeasuredAnchors
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.expansion.gradient_moments import Moments
from trainorder.expansion.pools import Pools


def walk(tolerance, given=None, steps=12):
    """Return the anchors that are chosen along gradients that curve."""
    anchors = Anchors(steps, given, tolerance)
    chosen = []
    for t in range(steps):
        sketches = np.array([[1.0, 0.05 * t**2], [-1.0, 0.3 * np.sin(t)]])
        if anchors.take(t, sketches):
            chosen.append(t)
    return chosen


def test_a_larger_tolerance_gives_fewer_anchors():
    counts = [len(walk(tolerance)) for tolerance in (0.0, 0.05, 0.2, 1e9)]
    assert counts == sorted(counts, reverse=True)
    assert walk(0.0) == list(range(12)), "with tolerance 0, a step is interpolated"
    assert walk(1e9) == [0], "not only the start is an anchor"
    assert 2 < len(walk(0.2)) < 12


def test_linear_gradients_need_no_anchor_between_the_ends():
    anchors = Anchors(9, None, 0.01)
    assert anchors.take(0, np.array([[1.0, 0.0], [-1.0, 0.0]]))
    are_anchors = [
        anchors.take(t, np.array([[1.0, 0.1 * t], [-1.0, -0.2 * t]])) for t in range(1, 9)
    ]
    assert are_anchors == [False] * 7 + [True]


def test_the_last_step_is_an_anchor_only_if_the_gradients_have_changed_since_the_last_one():
    assert walk(0.05)[-1] == 11, "gradients that curve are extrapolated"
    anchors = Anchors(3, None, 0.01)
    assert anchors.take(0, np.array([[1.0, 0.0], [-1.0, 0.0]]))
    almost_the_same = np.array([[1.0, 0.001], [-1.0, -0.001]])
    assert [anchors.take(t, almost_the_same) for t in (1, 2)] == [False, False]


def test_the_ends_are_the_anchors_of_a_single_cluster():
    anchors = Anchors(4, None, 0.01)
    assert anchors.take(0, np.array([[1.0, 0.0]]))
    are_anchors = [anchors.take(t, np.array([[1.0, float(t)]])) for t in (1, 2, 3)]
    assert are_anchors == [False, False, True], "nothing tells that the table can be extrapolated"


def test_fixed_anchors_are_used_and_no_others():
    assert walk(0.0, np.array([0, 4, 11])) == [0, 4, 11]


LABELS = np.array([0, 0, 1, 0, 1, 1])
POOLS = Pools(Clusters(LABELS, draw_pools(LABELS, 4, 8, 0)), 4)  # four parts of each pool


def measured(deviation, steps=9, tolerance=0.01, given=None, spread=1.0):
    """Return the steps that are measured; `deviation(t)` (N, 2) is added to the parts of a pool."""
    anchors = MeasuredAnchors(POOLS, Anchors(steps, given, tolerance))
    chosen = []
    for t in range(steps):
        common = np.array([[np.sin(t), 5.0], [t**2, -5.0]])[POOLS.cluster.numpy()]
        if anchors.is_next(common + deviation(t)):
            chosen.append(t)
            anchors.start(Moments(torch.zeros(2), torch.tensor([spread**2, 0.0])))
    return chosen


def parts(size):
    """Return deviations (N, 2) of the parts whose mean in each pool is 0."""
    signs = np.tile([1.0, -1.0, 1.0, -1.0], 2)
    return size * np.stack([signs, 0 * signs], axis=1)


def test_only_the_first_anchor_is_measured_while_deviations_move_in_straight_lines():
    assert measured(lambda t: parts(1.0 + 3.0 * t)) == [0], "common changes count as deviations"


def test_deviations_that_curve_are_measured_more_often_with_a_smaller_tolerance():
    counts = [len(measured(lambda t: parts(0.05 * t**2), tolerance=e)) for e in (0.5, 0.1, 0.01)]
    assert counts == sorted(counts), counts
    assert 1 < counts[0] < counts[-1], counts


def test_the_error_of_a_part_is_scaled_to_the_sequences_of_a_unit():
    # Half-way to step 2, every part is 0.1 from the line. A part has 2 of the 4 sequences of a
    # unit, so the variance of a unit is half of the estimate 4 / 3 0.1^2 of that of a part.
    error = (4 / 3 * 0.1**2 / 2) ** 0.5
    for factor, expected in ((0.99, [0, 2]), (1.01, [0])):
        steps = measured(lambda t: parts(0.1 * t * (2 - t)), steps=3, tolerance=factor * error)
        assert steps == expected, f"the limit is {factor} of the error"


def test_the_error_is_relative_to_the_spread_of_the_units():
    def deviation(t):
        return parts(0.05 * t**2)

    assert measured(deviation, spread=100.0) != measured(deviation)
    assert measured(deviation, spread=10.0, tolerance=0.01) == measured(deviation, tolerance=0.1)


def test_given_anchors_are_all_measured():
    assert measured(lambda t: parts(0.0), given=np.array([0, 8])) == list(range(9))


def test_pools_of_one_part_tell_nothing_so_that_all_anchors_are_measured():
    problem = Polynomial(2, sequences=1)
    pools = Pools(Clusters(np.arange(2), draw_pools(np.arange(2), 1, 4, 0)), problem.sequences)
    anchors = MeasuredAnchors(pools, Anchors(3, None, 1e9))
    for _ in range(3):
        assert anchors.is_next(np.zeros((2, 3)))

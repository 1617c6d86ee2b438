"""Constraints count the units that break them, and allow all other places."""

import numpy as np
import pytest

from trainorder.curriculum.constraints import Constraints, Quota, places

REFERENCE = np.array([[0, 1], [2, 3], [4, 5]])
DOMAINS = ["sea", "sea", "land", "land", "sea", "land"]


def test_places_are_the_steps_of_the_units():
    schedules = np.array([[[0, 1], [2, 3], [4, 5]], [[5, 2], [0, 4], [3, 1]]])
    assert places(schedules).tolist() == [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 1, 0]]


def test_without_constraints_every_order_is_allowed():
    free = Constraints(REFERENCE, DOMAINS)
    assert free.allowed().all()
    assert not free.violations(np.stack([REFERENCE, REFERENCE[::-1]])).any()


@pytest.mark.parametrize(
    ("constraints", "broken"),
    [
        ({"pinned": {0: 0}}, 1),
        ({"pinned": {0: 2, 2: 1}}, 0),
        ({"furthest": 1}, 4),
        ({"furthest": 2}, 0),
        ({"quotas": [Quota("sea", 0, 0, least=2)]}, 1),
        ({"quotas": [Quota("land", 1, 2, most=1)]}, 1),
        ({"quotas": [Quota("land", 1, 2, least=2, most=2)]}, 0),
        ({"pinned": {0: 0}, "quotas": [Quota("sea", 0, 0, least=2)]}, 2),
    ],
)
def test_violations_of_the_reversed_order_are_counted(constraints, broken):
    actual = Constraints(REFERENCE, DOMAINS, **constraints)
    assert actual.violations(REFERENCE[::-1][None]).tolist() == [broken]


def test_a_pin_beyond_the_furthest_move_leaves_no_place():
    both = Constraints(REFERENCE, DOMAINS, pinned={0: 2}, furthest=1)
    assert not both.allowed()[0].any(), "a pin that is too far leaves no place"

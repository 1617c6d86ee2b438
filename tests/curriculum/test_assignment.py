"""Assignments are optimal: they are compared with all possible orders."""

import itertools

import numpy as np
import pytest

from trainorder.curriculum.assignment import linear_assignment, pairwise_assignment
from trainorder.curriculum.constraints import Constraints, Quota, places
from trainorder.curriculum.effects import PairwiseEffects, precedence_kernel
from trainorder.errors import UserError

UNITS, WIDTH = 6, 2
REFERENCE = np.arange(UNITS).reshape(-1, WIDTH)
DOMAINS = ["sea", "land"] * 3
ALL = np.array(list(itertools.permutations(range(UNITS)))).reshape(-1, UNITS // WIDTH, WIDTH)
EFFECTS = np.random.default_rng(0).normal(size=(UNITS, UNITS // WIDTH))


def cost(schedules):
    return EFFECTS[np.arange(UNITS), places(schedules)].sum(axis=1)


@pytest.mark.parametrize(
    "constraints",
    [
        {},
        {"pinned": {3: 0}},
        {"furthest": 1},
        {"quotas": [Quota("sea", 0, 0, least=2)]},
        {"quotas": [Quota("sea", 0, 1, most=2), Quota("land", 2, 2, least=1)], "furthest": 2},
        {"quotas": [Quota("land", 0, 1, least=3)], "pinned": {0: 2}},
    ],
)
def test_the_linear_assignment_is_the_best_of_all_orders_that_meet_the_constraints(constraints):
    limits = Constraints(REFERENCE, DOMAINS, **constraints)
    actual = linear_assignment(EFFECTS, limits)
    allowed = ALL[limits.violations(ALL) == 0]
    assert limits.violations(actual[None])[0] == 0
    assert np.isclose(cost(actual[None])[0], cost(allowed).min()), "a better order was missed"


@pytest.mark.parametrize(
    "constraints",
    [
        {"pinned": {0: 0, 1: 0, 2: 0}},
        {"pinned": {0: 2}, "furthest": 1},
        {"quotas": [Quota("sea", 0, 0, least=3)]},
        {"quotas": [Quota("sky", 0, 0, least=1)]},
    ],
)
def test_constraints_that_no_order_meets_raise_one_line(constraints):
    with pytest.raises(UserError, match="no order meets pinned, quotas and furthest together"):
        linear_assignment(EFFECTS, Constraints(REFERENCE, DOMAINS, **constraints))


@pytest.mark.parametrize("width", [1, 2])
def test_the_pairwise_assignment_is_nearly_the_best_of_all_orders(width):
    weights = np.random.default_rng(3).normal(size=(UNITS, UNITS))
    weights -= weights.T
    kernel = precedence_kernel(UNITS // width, 2.0)

    def value(schedules):
        where = places(schedules)
        return np.array([(weights * kernel[np.ix_(row, row)]).sum() for row in where])

    actual = pairwise_assignment(PairwiseEffects(weights, kernel, 1.0), width, 0)
    assert actual.shape == (UNITS // width, width)
    assert sorted(actual.ravel()) == list(range(UNITS))
    values = value(ALL.reshape(-1, UNITS // width, width))
    assert value(actual[None])[0] <= np.quantile(values, 0.01), "not among the best in a hundred"

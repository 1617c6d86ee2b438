"""Moves lead to different orders that meet the constraints, near and far."""

import numpy as np
import pytest

from trainorder.curriculum import moves
from trainorder.curriculum.constraints import Constraints, Quota, places
from trainorder.curriculum.moves import proposed, random_move
from trainorder.orders.schedule_key import schedule_key

DOMAINS = ["sea"] * 6 + ["land"] * 6


def constraints(width=1, **options):
    return Constraints(np.arange(12).reshape(-1, width), DOMAINS, **options)


def moved(width=1, *, count=60, most=1, known=(), seed=0, **options):
    start = np.arange(12).reshape(-1, width)
    rng = np.random.default_rng(seed)
    return proposed(start, constraints(width, **options), known, rng, count=count, most=most)


@pytest.mark.parametrize("units", [2, 3, 12])
@pytest.mark.parametrize("kind", moves._KINDS, ids=lambda kind: kind.__name__)
def test_a_move_of_any_kind_is_a_permutation_that_changes_something(kind, units):
    rng = np.random.default_rng(1)
    for _ in range(200):
        result = kind(np.arange(units), rng)
        assert sorted(result) == list(range(units)), "a unit is lost or doubled"
        assert (result != np.arange(units)).any(), "the move changes nothing"


def test_moves_are_of_all_kinds():
    rng = np.random.default_rng(0)
    labels = np.array([0, 1, 0, 1, 0])
    results = [tuple(random_move(np.arange(5), labels, rng)) for _ in range(1200)]
    expected = {
        "swap": (3, 1, 2, 0, 4),
        "insertion": (1, 2, 3, 0, 4),
        "block move": (3, 4, 0, 1, 2),
        "block reversal": (0, 4, 3, 2, 1),
        "permutation within domains": (2, 3, 4, 1, 0),
    }
    for name, order in expected.items():
        assert order in results, f"no {name} in 1200 moves"


@pytest.mark.parametrize("width", [1, 2, 3])
def test_proposals_are_different_orders(width):
    known = moved(width, count=10)
    result = moved(width, known=known, count=40, most=2)
    keys = {schedule_key(schedule) for schedule in [*result, *known]}
    assert len(result) == 40, "fewer proposals than asked for, though there are enough orders"
    assert len(keys) == 50, "a proposal repeats a known order or another proposal"
    start = np.arange(12).reshape(-1, width)
    assert schedule_key(start) not in {schedule_key(schedule) for schedule in result}


def test_more_moves_go_farther():
    def distance(most):
        return np.abs(places(moved(most=most, count=200)) - np.arange(12)).mean()

    assert distance(6) > 1.3 * distance(1)


def test_every_proposal_meets_the_constraints():
    options = {"pinned": {3: 3}, "furthest": 4, "quotas": [Quota("land", 0, 5, most=1)]}
    result = moved(most=3, **options)
    assert len(result) > 20
    assert not constraints(**options).violations(result).any()


def test_there_are_no_proposals_where_every_unit_is_pinned():
    result = moved(pinned={unit: unit for unit in range(12)})
    assert result.shape == (0, 12, 1)


def test_half_of_the_moves_keep_the_sequence_of_domains():
    labels = np.array(DOMAINS)[np.random.default_rng(2).permutation(12)]
    rng = np.random.default_rng(0)
    results = [random_move(np.arange(12), labels, rng) for _ in range(400)]
    assert 0.4 < np.mean([(labels[visits] == labels).all() for visits in results]) < 0.8

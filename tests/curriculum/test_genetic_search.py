"""The genetic search lowers the score within the constraints, and is reproducible."""

import random

import numpy as np

from trainorder.curriculum.constraints import Constraints, places
from trainorder.curriculum.genetic_search import genetic_search

REFERENCE = np.arange(12).reshape(-1, 2)
DOMAINS = ["sea"] * 12


def misplaced(schedules):
    """Return the sum of distances of units from their reference steps (unit // 2); 0 is best."""
    return np.abs(places(schedules) - np.arange(12) // 2).sum(axis=1).astype(float)


def population(count=60):
    rng = np.random.default_rng(0)
    return np.stack([rng.permutation(12) for _ in range(count)]).reshape(count, -1, 2)


def test_the_search_improves_on_its_first_orders():
    actual = genetic_search(misplaced, population(), Constraints(REFERENCE, DOMAINS), 60, 0)
    assert sorted(actual.ravel()) == list(range(12)), "not a permutation"
    first = misplaced(population())
    assert misplaced(actual[None])[0] < 0.3 * first.min(), "hardly better than chance"


def test_the_search_meets_constraints_that_no_first_order_meets():
    pinned = Constraints(REFERENCE, DOMAINS, pinned={11: 0, 0: 5})
    begun = population(20)
    begun = begun[pinned.violations(begun) > 0]
    actual = genetic_search(misplaced, begun, pinned, 60, 0)
    assert pinned.violations(actual[None])[0] == 0


def test_the_same_seed_gives_the_same_order_and_the_global_state_is_restored():
    random.seed(4)
    expected = random.Random(4).random()
    free = Constraints(REFERENCE, DOMAINS)
    first, second = (genetic_search(misplaced, population(), free, 5, 1) for _ in range(2))
    assert np.array_equal(first, second)
    assert random.random() == expected, "the search changed the global random state"

"""Local search lowers the score within the constraints."""

import numpy as np

from trainorder.curriculum.constraints import Constraints, places
from trainorder.curriculum.local_search import local_search, neighbours

REFERENCE = np.arange(12).reshape(-1, 2)
DOMAINS = ["sea"] * 12


def misplaced(schedules):
    """Return the sum of distances of units from their reference steps (unit // 2); 0 is best."""
    return np.abs(places(schedules) - np.arange(12) // 2).sum(axis=1).astype(float)


def test_neighbours_are_permutations_that_differ_in_a_stretch():
    actual = neighbours(REFERENCE, np.random.default_rng(0), 400)
    assert (np.sort(actual.reshape(400, -1)) == np.arange(12)).all()
    assert len(np.unique(actual.reshape(400, -1), axis=0)) > 100
    reversed_all = (actual.reshape(400, -1) == np.arange(12)[::-1]).all(axis=1)
    assert reversed_all.any(), "no stretch is as long as the whole order"


def test_the_search_finds_the_best_order():
    start = np.random.default_rng(5).permutation(12).reshape(-1, 2)
    free = Constraints(REFERENCE, DOMAINS)
    actual = local_search(misplaced, start, free, np.random.default_rng(0), 256, 100)
    assert misplaced(actual[None])[0] == 0


def test_the_search_meets_the_constraints():
    start = REFERENCE[::-1].copy()
    pinned = Constraints(REFERENCE, DOMAINS, pinned={10: 0, 11: 0})
    actual = local_search(misplaced, start, pinned, np.random.default_rng(0), 256, 100)
    assert pinned.violations(actual[None])[0] == 0
    assert 0 < misplaced(actual[None])[0] < misplaced(start[None])[0]

"""Herding chooses the shortest partial sum, and the lowest index of a tie."""

import numpy as np
import pytest

from trainorder.curriculum.gradient_balance import discrepancy
from trainorder.curriculum.herding import herded


def deviations(seed, units=48, size=6):
    vectors = np.random.default_rng(seed).standard_normal((units, size))
    return vectors - vectors.mean(axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_every_next_unit_has_the_shortest_partial_sum(seed):
    vectors = deviations(seed, units=12)
    visits = herded(vectors).tolist()
    assert sorted(visits) == list(range(12))
    for i, unit in enumerate(visits):
        lengths = {
            other: np.sqrt((vectors[[*visits[:i], other]].sum(axis=0) ** 2).sum())
            for other in range(12)
            if other not in visits[:i]
        }
        assert unit == min(lengths, key=lengths.get)


def test_a_herded_order_is_better_than_every_random_one():
    vectors, rng = deviations(0), np.random.default_rng(1)
    random = [discrepancy(vectors, rng.permutation(48)) for _ in range(200)]
    assert discrepancy(vectors, herded(vectors)) < min(random)


def test_equal_gradients_keep_the_sequence_of_indices():
    assert herded(np.zeros((5, 2))).tolist() == [0, 1, 2, 3, 4]

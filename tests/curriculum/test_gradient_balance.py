"""Balancing has the bound of its theorem, and makes partial sums of gradients shorter."""

import numpy as np
import pytest

from trainorder.curriculum.gradient_balance import balanced, balancing_pass, discrepancy, signs


def deviations(seed, units=48, size=6):
    vectors = np.random.default_rng(seed).standard_normal((units, size))
    return vectors - vectors.mean(axis=0)


def longest_partial_sum(vectors):
    return max(np.sqrt((vectors[: i + 1].sum(axis=0) ** 2).sum()) for i in range(len(vectors)))


def test_discrepancy_is_the_longest_partial_sum():
    vectors, visits = deviations(0), np.random.default_rng(1).permutation(48)
    np.testing.assert_allclose(
        discrepancy(vectors, visits), longest_partial_sum(vectors[visits]), rtol=1e-12
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_pass_has_the_bound_of_the_theorem(seed):
    vectors = deviations(seed, units=seed + 5)
    start = np.random.default_rng(seed).permutation(len(vectors))
    signed = signs(vectors[start])[:, None] * vectors[start]
    bound = (discrepancy(vectors, start) + longest_partial_sum(signed)) / 2
    after = balancing_pass(vectors, start)
    assert sorted(after) == sorted(start)
    assert discrepancy(vectors, after) <= bound * (1 + 1e-12)


def test_each_sign_gives_the_shorter_sum():
    vectors, total = deviations(3), np.zeros(6)
    for sign, vector in zip(signs(vectors), vectors, strict=True):
        assert np.linalg.norm(total + sign * vector) <= np.linalg.norm(total - sign * vector)
        total += sign * vector


@pytest.mark.parametrize("seed", range(5))
def test_a_balanced_order_is_better_than_every_random_one(seed):
    vectors, rng = deviations(seed), np.random.default_rng(seed)
    actual = balanced(vectors, rng.permutation(48))
    assert sorted(actual) == list(range(48))
    random = [discrepancy(vectors, rng.permutation(48)) for _ in range(200)]
    assert discrepancy(vectors, actual) < min(random)


def test_balancing_never_makes_the_start_worse():
    for seed in range(50):
        vectors = deviations(seed, units=6)
        start = np.random.default_rng(seed).permutation(6)
        assert discrepancy(vectors, balanced(vectors, start)) <= discrepancy(vectors, start)


def test_equal_gradients_keep_the_start():
    start = np.array([2, 0, 3, 1])
    assert balanced(np.zeros((4, 3)), start).tolist() == start.tolist()

"""The weights minimize their objective and sum to 1."""

import numpy as np
import pytest
from scipy.optimize import minimize

from trainorder.numerics.combination_weights import combination_weights


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("penalty", [0.05, 1.0])
@pytest.mark.parametrize("rank", [2, 10])
def test_no_other_weights_have_a_lower_objective(n, penalty, rank):
    differences = np.random.default_rng(n).normal(size=(n, rank)) * (1 + np.arange(n))[:, None]
    gram = differences @ differences.T

    def objective(weights):
        return weights @ gram @ weights + penalty * weights**2 @ gram.diagonal()

    best = minimize(
        objective,
        np.full(n, 1 / n),
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    weights = combination_weights(gram, penalty)
    assert weights.sum() == pytest.approx(1)
    assert weights == pytest.approx(best.x, abs=1e-5), "the closed form is not the minimum"


def test_a_point_at_the_target_has_all_the_weight():
    assert combination_weights(np.diag([1.0, 0.0, 2.0]), 0.05).tolist() == [0, 1, 0]


def test_a_point_almost_at_the_target_has_almost_all_the_weight():
    gram = np.array([[1e-14, 1e-8], [1e-8, 1.0]])
    assert combination_weights(gram, 0.05) == pytest.approx([1, 0], abs=1e-6)


def test_many_targets_are_solved_as_each_alone_without_the_points_that_do_not_count():
    rng = np.random.default_rng(0)
    differences = rng.normal(size=(5, 4, 6))
    differences[1, 2] = 0.0  # a point is the target
    differences[2, 3] = 0.0  # the same, but the point does not count
    usable = rng.random((5, 4)) < 0.7
    usable[:, 0], usable[1, 2], usable[2, 3] = True, True, False
    gram = differences @ differences.swapaxes(1, 2)
    weights = combination_weights(gram, 0.05, usable)
    for row, own, counts in zip(weights, gram, usable, strict=True):
        assert not row[~counts].any(), "a point that does not count has weight"
        alone = combination_weights(own[np.ix_(counts, counts)], 0.05)
        assert row[counts] == pytest.approx(alone, rel=1e-12)

"""Effects are read back from scores that are made of them."""

import numpy as np

from trainorder.curriculum.constraints import places
from trainorder.curriculum.effects import additive_effects, pairwise_effects, precedence_kernel

UNITS, WIDTH = 8, 2


def schedules(count, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.permutation(UNITS) for _ in range(count)])
    return rows.reshape(count, -1, WIDTH)


def test_additive_effects_are_found_but_for_what_no_assignment_depends_on():
    made = np.random.default_rng(1).normal(size=(UNITS, UNITS // WIDTH))
    tried = schedules(40000)
    scores = made[np.arange(UNITS), places(tried)].sum(axis=1)
    found = additive_effects(tried, scores)

    def centred(effects):
        return effects - effects.mean(0) - effects.mean(1, keepdims=True) + effects.mean()

    slope = (centred(found) * centred(made)).sum() / np.square(centred(made)).sum()
    assert np.corrcoef(centred(found).ravel(), centred(made).ravel())[0, 1] > 0.99
    assert 1.0 < slope < 1.3, f"effects are {slope:.2f} times what they were made with"


def test_of_equal_scores_there_are_no_effects():
    tried = schedules(100)
    assert not additive_effects(tried, np.ones(100)).any()


def test_pairwise_effects_are_found_with_their_range():
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(UNITS, UNITS))
    weights -= weights.T
    tried = schedules(4000)
    kernel = precedence_kernel(UNITS // WIDTH, 1.0)  # a quarter of the window
    where = places(tried)
    scores = np.array([(weights * kernel[np.ix_(row, row)]).sum() for row in where])
    found = pairwise_effects(tried, scores)
    assert found.explained > 0.99, "another range explains them"
    assert np.allclose(found.kernel, kernel)
    # units of the same step have no order; only their weights' effect on scores is to be found
    again = np.array([(found.weights * kernel[np.ix_(row, row)]).sum() for row in where])
    assert np.corrcoef(again, scores)[0, 1] > 0.99

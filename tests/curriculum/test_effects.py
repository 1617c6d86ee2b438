"""Effects are recovered from scores that are computed from them."""

import subprocess
import sys

import numpy as np
import pytest

from trainorder.curriculum.constraints import places
from trainorder.curriculum.effects import (
    PairwiseEffects,
    additive_effects,
    pairwise_effects,
    precedence_kernel,
    ridge_weights,
)

UNITS, WIDTH = 8, 2
PEAK = """
import resource
import numpy as np
import pytest
from trainorder.curriculum.effects import pairwise_effects
rng = np.random.default_rng(0)
schedules = np.stack([rng.permutation(256) for _ in range(1024)]).reshape(1024, 256, 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pairwise_effects(schedules, rng.normal(size=1024))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def schedules(count, seed=0, units=UNITS, width=WIDTH):
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.permutation(units) for _ in range(count)])
    return rows.reshape(count, -1, width)


def test_additive_effects_are_recovered_except_for_terms_that_all_orders_share():
    expected = np.random.default_rng(1).normal(size=(UNITS, UNITS // WIDTH))
    sample = schedules(40000)
    scores = expected[np.arange(UNITS), places(sample)].sum(axis=1)
    estimated = additive_effects(sample, scores)

    def centred(effects):
        return effects - effects.mean(0) - effects.mean(1, keepdims=True) + effects.mean()

    slope = (centred(estimated) * centred(expected)).sum() / np.square(centred(expected)).sum()
    correlation = np.corrcoef(centred(estimated).ravel(), centred(expected).ravel())[0, 1]
    assert correlation > 0.99
    assert 1.0 < slope < 1.3, f"effects are {slope:.2f} times the expected ones"


def test_equal_scores_have_no_effects():
    assert not additive_effects(schedules(100), np.ones(100)).any()


def test_pairwise_effects_are_recovered_with_their_range():
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(UNITS, UNITS))
    weights -= weights.T
    sample = schedules(4000)
    kernel = precedence_kernel(UNITS // WIDTH, 1.0)  # a quarter of the window
    where = places(sample)
    scores = np.array([(weights * kernel[np.ix_(row, row)]).sum() for row in where])
    estimated = pairwise_effects(sample, scores)
    assert estimated.explained > 0.99, "another range explains them"
    assert np.allclose(estimated.kernel, kernel)
    # Units of one step have no order, so only the effect of their weights can be recovered.
    assert np.corrcoef(estimated.predict(where), scores)[0, 1] > 0.99


def primal_weights(where, kernel, scores):
    """Return the ridge weights from the normal equations of the pairs."""
    units = where.shape[1]
    pairs = np.triu_indices(units, 1)
    features = kernel[where[:, pairs[0]], where[:, pairs[1]]]
    gram = features.T @ features
    penalty = 1e-3 * np.trace(gram) / len(gram)
    weights = np.zeros((units, units))
    solution = np.linalg.solve(gram + penalty * np.eye(len(gram)), features.T @ scores)
    weights[pairs] = solution / 2
    return weights - weights.T


def test_primal_and_dual_form_give_the_same_weights():
    for units, width, count in ((16, 1, 40), (16, 2, 40), (24, 3, 200), (12, 1, 200)):
        where = places(schedules(count, seed=units, units=units, width=width))
        kernel = precedence_kernel(units // width, 0.25 * units / width)
        scores = np.random.default_rng(3).normal(size=count)
        expected = primal_weights(where, kernel, scores)
        weights = ridge_weights(where, kernel, scores)
        assert np.abs(weights - expected).max() < 1e-10 * np.abs(expected).max()
        assert np.abs(weights + weights.T).max() < 1e-12, "the weights are not antisymmetric"


def test_predictions_are_sums_over_pairs():
    where, kernel = places(schedules(5)), precedence_kernel(UNITS // WIDTH, 2.0)
    weights = np.random.default_rng(4).normal(size=(UNITS, UNITS))
    expected = [
        sum(weights[u, v] * kernel[row[u], row[v]] for u in range(UNITS) for v in range(UNITS))
        for row in where
    ]
    assert np.allclose(PairwiseEffects(weights, kernel, 0.0).predict(where), expected)


@pytest.mark.slow
def test_256_units_take_less_than_500_megabytes():
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 500_000, f"{int(done.stdout) / 1000:.0f} MB"

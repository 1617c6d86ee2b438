"""Ridge regression solves the normal equations, selects its penalty by leave-one-out errors, and
recovers additive effects."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from trainorder.estimators.baselines.positions import position_features
from trainorder.estimators.baselines.ridge import PENALTIES, fit_ridge

UNITS = 12
LABELS = ["sea", "hill", "mixed"] * 4


def schedules(n, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.permutation(UNITS)[:, None] for _ in range(n)]


def additive(orders, seed=1):
    """Return two metrics (O, 2) that are linear in the position features of labels and units."""
    features = position_features(orders, LABELS)
    weights = np.random.default_rng(seed).standard_normal((features.shape[1], 2))
    return 4 + 0.01 * features @ weights


def by_hand(features, metrics, penalty):
    """Return predictions for the training features from the normal equations."""
    x, y = features - features.mean(0), metrics - metrics.mean(0)
    return metrics.mean(0) + x @ np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)


def test_additive_effects_are_recovered_from_enough_orders():
    fit, held_back = schedules(100), schedules(50, seed=9)
    model = fit_ridge(position_features(fit, LABELS), additive(fit))
    predicted, true = model.predict(position_features(held_back, LABELS)), additive(held_back)
    error = np.abs(predicted - true).max() / true.std()
    assert error < 1e-4, f"the largest error is {error:.1e} of the spread"


def test_additive_effects_are_ranked_from_few_orders():
    fit, held_back = schedules(32), schedules(50, seed=9)
    model = fit_ridge(position_features(fit, LABELS), additive(fit))
    predicted = model.predict(position_features(held_back, LABELS))[:, 0]
    assert spearmanr(predicted, additive(held_back)[:, 0]).statistic > 0.5


def test_predictions_solve_the_normal_equations():
    features, metrics = position_features(schedules(20), LABELS), additive(schedules(20))
    metrics += 0.01 * np.random.default_rng(2).standard_normal(metrics.shape)
    model = fit_ridge(features, metrics)
    for column, penalty in enumerate(model.alpha_):
        expected = by_hand(features, metrics, penalty)[:, column]
        assert np.allclose(model.predict(features)[:, column], expected, atol=1e-7)


def test_the_penalty_minimizes_the_leave_one_out_error():
    rng = np.random.default_rng(3)
    features, metrics = rng.standard_normal((15, 6)), rng.standard_normal((15, 2))
    metrics[:, 0] += features @ rng.standard_normal(6)

    def error(penalty, column):
        total = 0.0
        for i in range(15):
            rest = np.arange(15) != i
            x, y = features[rest], metrics[rest, column]
            centred = x - x.mean(0)
            weights = np.linalg.solve(
                centred.T @ centred + penalty * np.eye(6), centred.T @ (y - y.mean())
            )
            total += (y.mean() + (features[i] - x.mean(0)) @ weights - metrics[i, column]) ** 2
        return total

    model = fit_ridge(features, metrics)
    grid = PENALTIES * np.linalg.svd(features - features.mean(0), compute_uv=False)[0] ** 2
    for column in (0, 1):
        best = min(grid, key=lambda penalty: error(penalty, column))
        assert model.alpha_[column] == pytest.approx(best), "another penalty has a smaller error"


def test_noise_is_not_fitted():
    rng = np.random.default_rng(4)
    metrics = 4 + 0.01 * rng.standard_normal((32, 40))
    model = fit_ridge(position_features(schedules(32), LABELS), metrics)
    predicted = model.predict(position_features(schedules(200, seed=9), LABELS))
    spread = np.median(predicted.std(0) / metrics.std(0))  # noise sometimes resembles an effect
    assert spread < 0.25, "the predictions follow the noise"


def test_constant_metrics_or_features_are_predicted_by_the_mean():
    features = position_features(schedules(8), LABELS)
    assert np.allclose(fit_ridge(features, np.full((8, 1), 4.0)).predict(features), 4.0)
    constant = np.ones((8, 3))
    assert np.allclose(fit_ridge(constant, np.arange(8.0)[:, None]).predict(constant), 3.5)

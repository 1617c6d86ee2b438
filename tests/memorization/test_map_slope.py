"""The slope of a map corrects its scale, and removes a map that knows nothing."""

import numpy as np
import pytest

from trainorder.memorization.map_slope import MIN_CELLS, agreement, calibrated_maps, map_slope


def half_retrained(estimated, true):
    """Return the true map with every second cell retrained."""
    return np.where(np.arange(true.size).reshape(true.shape) % 2 == 0, true, np.nan)


def test_agreement_uses_only_the_retrained_cells():
    estimated = np.arange(20.0).reshape(4, 5)
    actual = agreement(estimated, half_retrained(estimated, 2 * estimated), 200, 0.95, 0)
    assert actual["value"] == 1.0
    assert actual["n"] == 10
    assert actual["slope"] == pytest.approx(2.0), "the scale of the map is not corrected"
    assert actual["mse"] == pytest.approx(0.0, abs=1e-20)


def test_the_error_of_a_cell_is_that_by_the_slope_of_the_others():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(8)
    y = 0.5 * x + 0.05 * rng.standard_normal(8)
    errors = [map_slope(np.delete(x, i), np.delete(y, i)) * x[i] - y[i] for i in range(8)]
    actual = agreement(x[:, None], y[:, None], 200, 0.95, 0)
    assert actual["mse"] == pytest.approx(np.mean(np.square(errors)))
    assert actual["relative_mse"] == pytest.approx(actual["mse"] / np.mean(y**2))


def test_the_map_of_a_diverged_estimator_is_no_map():
    """Estimated effects at a constant rate can be a million times too large, and unrelated."""
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(40):
        x = np.exp(rng.uniform(-5, 15, 12)) * rng.choice([-1, 1], 12)
        score = agreement(x[:, None], rng.standard_normal((12, 1)), 20, 0.95, 0)
        errors.append(score["relative_mse"])
    assert np.median(errors) == 1.0, "a useless map is worse than none"
    assert np.mean(np.array(errors) <= 1.05) > 0.8


def test_maps_are_multiplied_by_their_slopes():
    maps = {"own": {"swap": np.array([[1.0, 2.0]])}, "same": {"swap": np.array([[3.0, 4.0]])}}
    scores = {"own": {"swap": {"slope": 2.0}}, "same": {"swap": {"slope": 0.0}}}
    actual = calibrated_maps(maps, scores)
    assert actual["own"]["swap"].tolist() == [[2.0, 4.0]]
    assert actual["same"]["swap"].tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("cells", range(MIN_CELLS))
def test_a_map_with_few_retrained_cells_is_not_changed(cells):
    values = np.arange(float(cells))
    assert map_slope(values, -values) == 1.0


def test_a_map_that_is_not_finite_is_not_changed():
    assert map_slope(np.array([1.0, np.inf, 2.0, 3.0]), np.ones(4)) == 1.0


def test_without_retrained_cells_there_is_no_agreement():
    actual = agreement(np.zeros((2, 2)), np.full((2, 2), np.nan), 200, 0.95, 0)
    assert actual["value"] is actual["mse"] is actual["relative_mse"] is None

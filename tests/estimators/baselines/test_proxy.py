"""The proxy is a narrower model, and its metrics are rescaled to those of the studied model."""

import numpy as np
import pytest
import torch

from trainorder.config.sections.model import ModelConfig
from trainorder.estimators.baselines.proxy import narrowed, rescaled
from trainorder.training.model import LanguageModel


@pytest.mark.parametrize(
    ("hidden", "intermediate", "heads", "expected"),
    [(96, 256, 4, (24, 64)), (64, 176, 4, (16, 44)), (32, 64, 2, (8, 16)), (8, 12, 2, (4, 4))],
)
def test_the_proxy_has_a_quarter_of_the_width_and_can_be_built(
    hidden, intermediate, heads, expected
):
    model = narrowed(
        ModelConfig(hidden_size=hidden, intermediate_size=intermediate, layers=2, heads=heads)
    )
    assert (model.hidden_size, model.intermediate_size) == expected
    assert (model.layers, model.heads) == (2, heads), "the depth or the number of heads changed"
    built = LanguageModel(model, 13, 7, 0, torch.float32)
    assert bool(built.loss(built.parameters(), torch.zeros((1, 7), dtype=torch.int64)).isfinite())


def test_a_linear_relation_is_recovered_for_each_metric():
    rng = np.random.default_rng(0)
    fit, held_back = 5 + rng.standard_normal((8, 2)), 5 + rng.standard_normal((4, 2))
    slope, offset = np.array([0.3, 2.0]), np.array([1.0, -4.0])
    predicted = rescaled(held_back, fit, offset + slope * fit)
    assert np.allclose(predicted, offset + slope * held_back)


def test_rescaling_keeps_the_ranks_of_the_proxy():
    rng = np.random.default_rng(0)
    fit = rng.standard_normal((16, 1))
    true = fit + rng.standard_normal((16, 1))
    held_back = rng.standard_normal((30, 1))
    predicted = rescaled(held_back, fit, true)
    assert np.array_equal(np.argsort(predicted[:, 0]), np.argsort(held_back[:, 0]))


def test_a_metric_that_is_constant_for_the_proxy_is_predicted_by_the_mean():
    predicted = rescaled(np.array([[2.0], [3.0]]), np.ones((4, 1)), np.arange(4.0)[:, None])
    assert predicted.tolist() == [[1.5], [1.5]]

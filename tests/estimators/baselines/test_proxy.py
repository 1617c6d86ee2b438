"""The proxy is a narrower model of the same kind, and its metrics come to the model's scale."""

import numpy as np
import pytest
import torch

from trainorder.config.sections import ModelConfig
from trainorder.estimators.baselines.proxy import narrowed, rescaled
from trainorder.training.model import LanguageModel


@pytest.mark.parametrize(
    ("hidden", "intermediate", "heads", "expected"),
    [(96, 256, 4, (24, 64)), (64, 176, 4, (16, 44)), (32, 64, 2, (8, 16)), (8, 12, 2, (4, 4))],
)
def test_it_is_a_quarter_as_wide_and_can_be_built(hidden, intermediate, heads, expected):
    model = narrowed(
        ModelConfig(hidden_size=hidden, intermediate_size=intermediate, layers=2, heads=heads)
    )
    assert (model.hidden_size, model.intermediate_size) == expected
    assert (model.layers, model.heads) == (2, heads), "another depth or number of heads"
    built = LanguageModel(model, 13, 7, 0, torch.float32)
    assert bool(built.loss(built.parameters(), torch.zeros((1, 7), dtype=torch.int64)).isfinite())


def test_a_linear_relation_is_found_for_each_metric():
    rng = np.random.default_rng(0)
    fit, held_back = 5 + rng.standard_normal((8, 2)), 5 + rng.standard_normal((4, 2))
    slope, offset = np.array([0.3, 2.0]), np.array([1.0, -4.0])
    found = rescaled(held_back, fit, offset + slope * fit)
    assert np.allclose(found, offset + slope * held_back)


def test_ranks_stay_the_proxys_own():
    rng = np.random.default_rng(0)
    fit = rng.standard_normal((16, 1))
    true = fit + rng.standard_normal((16, 1))
    held_back = rng.standard_normal((30, 1))
    found = rescaled(held_back, fit, true)
    assert np.array_equal(np.argsort(found[:, 0]), np.argsort(held_back[:, 0]))


def test_a_metric_that_the_proxy_does_not_tell_apart_is_the_mean():
    found = rescaled(np.array([[2.0], [3.0]]), np.ones((4, 1)), np.arange(4.0)[:, None])
    assert found.tolist() == [[1.5], [1.5]]

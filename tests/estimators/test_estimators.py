"""What holds for every estimator."""

import numpy as np
import pytest
import torch

from problems import (
    expansion,
    ignore,
    language_problem,
    optimizer_config,
    relative_error,
    torch_states,
    warm_state,
)
from trainorder.config import EstimatorConfig
from trainorder.estimators.build import build_estimator

CONFIGS = [
    EstimatorConfig("constant", "reference"),
    EstimatorConfig("order0", "reference"),
    EstimatorConfig("fut", "reference", guard=1.0),
    EstimatorConfig("fut", "reference", guard=None),
    EstimatorConfig("fut++", "reference", guard=1.0),
    EstimatorConfig("fut++", "reference", guard=None),
    EstimatorConfig("taylor1", "reference"),
    EstimatorConfig("taylor2", "reference"),
    EstimatorConfig("order0", "reference", tail=1),
    EstimatorConfig("taylor1", "reference", tail=2),
    EstimatorConfig("recency", "reference", tail=2),
]
REFERENCE = [[0, 3], [1, 4], [2, 5]]


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    problem, config = language_problem(), optimizer_config(weight_decay=0.1)
    warm = warm_state(problem, problem.model.parameters(), config)
    states = torch_states(problem, warm, REFERENCE, config)
    with expansion(problem, states, config, tmp_path_factory.mktemp("store")) as about:
        yield about, states


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_the_reference_order_is_estimated_exactly_on_the_reference_path(config, case):
    about, states = case
    found = build_estimator(config, about).replay(torch.tensor([REFERENCE]), ignore)[0]
    error = relative_error(found, states[-1].parameters)
    assert error < 1e-10, f"{config.name} strays by {error:.1e} where there is nothing to estimate"


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_every_step_is_observed_from_the_start_to_the_end(config, case):
    about, states = case
    schedules = torch.tensor(
        np.stack([np.random.default_rng(i).permutation(6).reshape(3, 2) for i in range(2)])
    )
    seen = {}
    found = build_estimator(config, about).replay(
        schedules, lambda t, parameters: seen.update({t: parameters.clone()})
    )
    assert list(seen) == [0, 1, 2, 3]
    assert torch.equal(seen[0], states[0].parameters.expand(2, -1)), "does not start warm"
    assert torch.equal(seen[3], found), "what is observed last is not what is returned"


@pytest.mark.parametrize("config", CONFIGS[1:], ids=lambda config: config.name)
def test_another_order_is_estimated_to_end_elsewhere(config, case):
    about, states = case
    found = build_estimator(config, about).replay(torch.tensor([REFERENCE[::-1]]), ignore)[0]
    assert relative_error(found, states[-1].parameters) > 1e-6, f"{config.name} ignores the order"

"""The optimizers of the replay equal those of torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from problems import (
    HORIZON,
    KINDS,
    Polynomial,
    expansion,
    ignore,
    language_problem,
    optimizer_config,
    relative_error,
    torch_rate,
    torch_states,
    warm_state,
)
from trainorder.estimators.order0 import Order0
from trainorder.numerics.derivatives import gradient
from trainorder.training.optimizer import MOMENTS, State, build_optimizer

SCHEDULES = {
    "permutation": [[3], [0], [4], [1], [5], [2]],
    "two units a step": [[3, 0], [4, 1], [5, 2]],
    "repeated units": [[3], [3], [0], [1], [1], [3]],
    "missing units": [[5], [2], [4]],
    "the same unit twice in a step": [[2, 2], [0, 1]],
    "two epochs": [[3, 0], [4, 1], [5, 2], [1, 0], [2, 5], [4, 3]],
}
OPTIMIZERS = {
    "plain": {},
    "weight decay": {"weight_decay": 0.1},
    "linear warm-up": {"linear_warmup_steps": 11},
    "cosine": {"schedule": "cosine", "linear_warmup_steps": 3},
    "clipping": {"gradient_clip": 0.05},
    "all": {
        "weight_decay": 0.1,
        "schedule": "cosine",
        "linear_warmup_steps": 3,
        "gradient_clip": 0.05,
    },
}


@pytest.mark.parametrize("start", ["warm", "scratch"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("changes", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_replay_of_the_reference_schedule_equals_torch(schedule, changes, kind, start, tmp_path):
    problem, config = Polynomial(6, degree=3), optimizer_config(**kind, **changes)
    zero = torch.zeros_like(problem.start)
    state = State(problem.start, zero, zero, 0)
    if start == "warm":
        state = warm_state(problem, problem.start, config)
    states = torch_states(problem, state, schedule, config)
    with expansion(problem, states, config, tmp_path) as stored:
        replayed = Order0(stored).replay(torch.tensor([schedule]), ignore)
    assert torch.isfinite(states[-1].parameters).all()
    error = relative_error(replayed[0], states[-1].parameters)
    assert error < 1e-10, f"the replay's {config.name} differs from torch by {error:.1e}"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_replay_of_the_reference_schedule_equals_torch_on_a_language_model(kind, tmp_path):
    problem = language_problem()
    config = optimizer_config(weight_decay=0.1, schedule="cosine", linear_warmup_steps=3, **kind)
    state = warm_state(problem, problem.model.parameters(), config)
    schedule = SCHEDULES["two epochs"]
    states = torch_states(problem, state, schedule, config)
    with expansion(problem, states, config, tmp_path) as stored:
        replayed = Order0(stored).replay(torch.tensor([schedule]), ignore)
    error = relative_error(replayed[0], states[-1].parameters)
    assert error < 1e-10, f"the replay's {config.name} differs from torch by {error:.1e}"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_the_state_after_an_update_equals_that_of_torch(kind):
    problem = Polynomial(6, degree=3)
    config = optimizer_config(weight_decay=0.1, gradient_clip=0.5, **kind)
    states = torch_states(problem, warm_state(problem, problem.start, config), [[3]], config)
    state = states[0].clone()
    step = gradient(lambda theta: problem.loss(theta, 3), state.parameters)
    before = step.clone()
    build_optimizer(config, HORIZON).update(state, step)
    assert torch.equal(step, before), "update changed its argument"
    assert state.step == states[1].step
    for name in MOMENTS:
        error = relative_error(getattr(state, name), getattr(states[1], name))
        assert error < 1e-12, f"{name} differs from torch by {error:.1e}"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_under_a_constant_gradient_steps_converge_to_the_preconditioned_gradient(kind):
    config = optimizer_config(**kind)
    step, zero = torch.tensor([2.0, -0.5], dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    optimizer, state = build_optimizer(config, HORIZON), State(zero, zero.clone(), zero.clone(), 0)
    for _ in range(400):
        before = state.parameters.clone()
        optimizer.update(state, step)
    expected = -config.learning_rate * optimizer.preconditioner(state) * step
    assert torch.allclose(state.parameters - before, expected, rtol=1e-6)
    assert torch.allclose(optimizer.average(state), step, rtol=1e-6), (
        "the average does not converge to a constant gradient"
    )


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("warmup", [0, 7])
def test_the_learning_rate_equals_that_of_torch_schedulers(schedule, warmup, kind):
    config = optimizer_config(schedule=schedule, linear_warmup_steps=warmup, **kind)
    optimizer = build_optimizer(config, HORIZON)
    for step in range(HORIZON + 1):
        expected = torch_rate(config, step)
        assert optimizer.learning_rate(step) == pytest.approx(expected, rel=1e-12, abs=1e-18), (
            f"the learning rate differs at step {step}"
        )


def test_the_configured_horizon_overrides_that_of_the_study():
    config = optimizer_config(schedule="cosine", linear_warmup_steps=3, horizon=HORIZON)
    configured = build_optimizer(config, 5)
    passed = build_optimizer(replace(config, horizon=None), HORIZON)
    rates = [
        [optimizer.learning_rate(step) for step in range(30)] for optimizer in (configured, passed)
    ]
    assert rates[0] == rates[1], "the schedule ignores the configured horizon"


def test_orders_replayed_together_equal_orders_replayed_alone(tmp_path):
    problem, config = Polynomial(6), optimizer_config()
    states = torch_states(
        problem, warm_state(problem, problem.start, config), SCHEDULES["permutation"], config
    )
    rng = np.random.default_rng(0)
    schedules = torch.tensor(np.stack([rng.permutation(6)[:, None] for _ in range(4)]))
    with expansion(problem, states, config, tmp_path) as stored:
        together = Order0(stored).replay(schedules, ignore)
        alone = [Order0(stored).replay(schedules[i : i + 1], ignore)[0] for i in range(4)]
    assert torch.equal(together, torch.stack(alone)), "orders of one batch influence each other"

"""The published replay equals its formula, computed with scalars on three parameters."""

import math

import pytest
import torch

from problems import (
    Polynomial,
    expansion,
    ignore,
    optimizer_config,
    torch_states,
    warm_state,
)
from trainorder.estimators.fut import FUT, FUTPlusPlus, adam_update

REFERENCE = [[0], [1], [2], [3]]
OTHER = [2, 0, 3, 1]


@pytest.fixture
def case(tmp_path):
    problem = Polynomial(4, size=3, degree=3)
    config = optimizer_config(learning_rate=0.05, weight_decay=0.1, epsilon=1e-3)
    warm = warm_state(problem, problem.start, config, steps=5)
    states = torch_states(problem, warm, REFERENCE, config)
    with expansion(problem, states, config, tmp_path) as about:
        yield problem, config, states, about


def entry(problem, theta, unit, i):
    """Return one entry of the gradient of a cubic unit loss, term by term."""
    linear, square, cube = problem.linear[unit], problem.square[unit], problem.cube[unit]
    value = float(linear[i])
    for j in range(3):
        value += float((square[i, j] + square[j, i]) / 2 * theta[j])
        for k in range(3):
            permuted = cube[i, j, k] + cube[j, i, k] + cube[j, k, i]
            value += float(permuted * theta[j] * theta[k] / 6)
    return value


def by_hand(problem, config, states, second_order, guard=None):
    """Follow OTHER with scalars and loops only, with the formulas of docs/method."""

    def g(t, unit, i):
        return entry(problem, states[t].parameters, unit, i)

    def path_change(t, i):
        return float(states[t].parameters[i] - states[t - 1].parameters[i])

    def h(t, unit, i):
        return (g(t, unit, i) - g(t - 1, unit, i)) / path_change(t, i) if t >= 1 else 0.0

    def gamma_update(x, m0, v0, step):
        m = (config.beta1 * m0 + (1 - config.beta1) * x) / (1 - config.beta1 ** (step + 1))
        v = (config.beta2 * v0 + (1 - config.beta2) * x * x) / (1 - config.beta2 ** (step + 1))
        return m / (math.sqrt(v) + config.epsilon)

    gamma = [float(x) for x in states[0].parameters]
    for t, unit in enumerate(OTHER):
        state = states[t]
        following = []
        for i in range(3):
            x = torch.tensor(g(t, unit, i), dtype=torch.float64, requires_grad=True)
            m0, v0 = state.exp_avg[i], state.exp_avg_sq[i]
            m = (config.beta1 * m0 + (1 - config.beta1) * x) / (
                1 - config.beta1 ** (state.step + 1)
            )
            v = (config.beta2 * v0 + (1 - config.beta2) * x * x) / (
                1 - config.beta2 ** (state.step + 1)
            )
            value = m / (v.sqrt() + config.epsilon)
            assert float(value.detach()) == pytest.approx(
                gamma_update(float(x.detach()), float(m0), float(v0), state.step)
            )
            (first,) = torch.autograd.grad(value, x, create_graph=True)
            (second,) = torch.autograd.grad(first, x)
            delta = gamma[i] - float(state.parameters[i])
            correction = delta * float(first.detach()) * h(t, unit, i)
            if second_order:
                second_secant = (
                    (h(t, unit, i) - h(t - 1, unit, i)) / path_change(t, i) if t >= 2 else 0.0
                )
                curved = float(second) * h(t, unit, i) ** 2 + float(first.detach()) * second_secant
                correction += delta**2 * curved / 2
            if guard is not None:
                correction = max(-guard, min(guard, correction))
            rate = config.learning_rate
            following.append(
                gamma[i] * (1 - rate * config.weight_decay)
                - rate * (float(value.detach()) + correction)
            )
        gamma = following
    return torch.tensor(gamma, dtype=torch.float64)


@pytest.mark.parametrize("guard", [None, 0.05])
@pytest.mark.parametrize(("kind", "second"), [(FUT, False), (FUTPlusPlus, True)])
def test_published_replay_equals_its_formula(kind, second, guard, case):
    problem, config, states, about = case
    schedule = torch.tensor([[[unit] for unit in OTHER]])
    estimated = kind(about, guard).replay(schedule, ignore)[0]
    expected = by_hand(problem, config, states, second, guard)
    assert torch.allclose(estimated, expected, rtol=1e-9, atol=0), (
        f"{kind.__name__} differs from its formula: {estimated.tolist()}, not {expected.tolist()}"
    )


def test_the_guard_changes_the_estimate(case):
    *_, about = case
    schedule = torch.tensor([[[unit] for unit in OTHER]])
    free, bounded = (FUT(about, guard).replay(schedule, ignore)[0] for guard in (None, 1e-3))
    assert not torch.allclose(free, bounded), "the guard has no effect in these tests"


def test_derivatives_of_the_update_are_finite_without_any_earlier_gradient(case):
    *_, about = case
    state = about.path.state(0)
    state.exp_avg.zero_()
    state.exp_avg_sq.zero_()
    about.path.state = lambda t, columns: state
    update = adam_update(about, 0, torch.zeros(1, 3, dtype=torch.float64))
    for part in (update.value, update.first, update.second):
        assert torch.isfinite(part).all(), "a parameter without any gradient so far gives nan"

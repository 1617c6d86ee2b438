"""The transposed step of an optimizer is the transpose of the derivative of its step."""

import pytest
import torch

from problems import HORIZON, optimizer_config, relative_error
from trainorder.training.adjoint_step import pulled_back, through_clipping
from trainorder.training.optimizer import MOMENTS, State, build_optimizer

SIZE, STEP = 4, 6
OPTIMIZERS = {
    "adamw": {"weight_decay": 0.2, "schedule": "cosine"},
    "sgd": {"name": "sgd", "weight_decay": 0.2},
    "sgd without momentum": {"name": "sgd", "momentum": 0.0},
}


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stepped(optimizer, numbers):
    """Return the state after a step, joined, from the joined state, gradient and its square."""
    theta, m, v, g, square = numbers.clone().split(SIZE)
    state = State(theta.clone(), m.clone(), v.clone(), STEP)
    optimizer.apply(state, g, square)
    return torch.cat([getattr(state, name) for name in MOMENTS])


@pytest.mark.parametrize("changes", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_the_transposed_step_equals_differences_of_the_step(changes):
    optimizer = build_optimizer(optimizer_config(**changes), HORIZON)
    numbers = normal(5 * SIZE)
    numbers[2 * SIZE : 3 * SIZE].abs_()  # v and the square
    numbers[4 * SIZE :].abs_()
    jacobian = torch.stack(
        [
            (stepped(optimizer, numbers + e) - stepped(optimizer, numbers - e)) / 2e-6
            for e in 1e-6 * torch.eye(5 * SIZE, dtype=torch.float64)
        ]
    )
    after = State(*stepped(optimizer, numbers).split(SIZE), STEP + 1)
    adjoints = normal(3, 3 * SIZE, seed=1)
    if optimizer.config.name == "sgd":  # v is not used
        adjoints[:, 2 * SIZE :] = 0
    state = State(*(part.clone() for part in adjoints.split(SIZE, dim=1)), STEP + 1)
    gradient, square = pulled_back(optimizer, after, state)
    found = torch.cat([*(getattr(state, name) for name in MOMENTS), gradient, square], dim=1)
    error = relative_error(found, adjoints @ jacobian.T)
    assert error < 1e-7, f"the transposed step is wrong by {error:.1e}"
    assert state.step == STEP


@pytest.mark.parametrize("largest", [0.5, 100.0], ids=["clipped", "not clipped"])
def test_transposed_clipping_equals_differences_of_clipping(largest):
    optimizer = build_optimizer(optimizer_config(gradient_clip=largest), HORIZON)
    inputs = torch.cat([normal(SIZE), normal(SIZE, seed=2).abs()])  # a gradient, and its square
    adjoints = normal(3, 2 * SIZE, seed=1)

    def clipped(inputs):
        g, square = inputs.split(SIZE)
        scale = optimizer.clip_scale(square.sum().sqrt())
        return torch.cat([scale * g, scale**2 * square])

    jacobian = torch.stack(
        [
            (clipped(inputs + e) - clipped(inputs - e)) / 2e-6
            for e in 1e-6 * torch.eye(2 * SIZE, dtype=torch.float64)
        ]
    )
    expected = adjoints @ jacobian.T
    parts, (g, square) = [part.clone() for part in adjoints.split(SIZE, 1)], inputs.split(SIZE)
    through_clipping(optimizer, g, lambda columns: square[columns], tuple(parts))
    assert relative_error(torch.cat(parts, 1), expected) < 1e-7


def test_parameters_that_never_had_a_gradient_give_finite_adjoints():
    optimizer = build_optimizer(optimizer_config(), HORIZON)
    zero, one = torch.zeros(SIZE), torch.ones(1, SIZE)
    adjoint = State(one.clone(), 0 * one, 0 * one, 1)
    parts = pulled_back(optimizer, State(zero, zero, zero, 1), adjoint)
    assert all(torch.isfinite(part).all() for part in (*parts, adjoint.exp_avg_sq))

"""Exact replay converges at the order of its expansion, and is exact on polynomials."""

import numpy as np
import pytest
import torch

from problems import (
    KINDS,
    Polynomial,
    barycentre,
    expansion,
    ignore,
    language_problem,
    optimizer_config,
    relative_error,
    torch_states,
    warm_state,
)
from trainorder.estimators.order0 import Order0
from trainorder.estimators.taylor import Taylor1, Taylor2
from trainorder.numerics import derivatives
from trainorder.training.passes import products

ESTIMATORS = {0: Order0, 1: Taylor1, 2: Taylor2}
REFERENCE = [[0], [1], [2], [3], [4], [5]]
OTHER = [[5], [2], [0], [4], [1], [3]]
RATES = {"adamw": 4e-3, "sgd with momentum": 4e-3}


@pytest.mark.parametrize("kind", RATES)
@pytest.mark.parametrize("path", ["reference", "barycentre"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_error_falls_with_the_learning_rate_at_the_order_of_the_expansion(
    order, path, kind, tmp_path
):
    problem = language_problem()
    changes = {"epsilon": 1e-4, "weight_decay": 0.1, **KINDS[kind]}
    base = optimizer_config(learning_rate=RATES[kind], **changes)
    warm = warm_state(problem, problem.model.parameters(), base)
    scales = np.array([1.0, 0.5, 0.25, 0.125])
    errors = []
    for scale in scales:
        config = optimizer_config(learning_rate=RATES[kind] * scale, **changes)
        truth = torch_states(problem, warm, OTHER, config)[-1].parameters
        folder = tmp_path / f"{scale}"
        if path == "reference":
            states = torch_states(problem, warm, REFERENCE, config)
            about = expansion(problem, states, config, folder)
        else:
            about = barycentre(problem, warm, len(OTHER), 1, config, folder)
        with about as opened:
            estimated = ESTIMATORS[order](opened).replay(torch.tensor([OTHER]), ignore)[0]
        errors.append(float((estimated - truth).norm()))
    slope = np.polyfit(np.log(scales), np.log(errors), 1)[0]
    assert slope >= order + 1.8, (
        f"order {order} about the {path} path: the error falls with slope {slope:.2f} in the "
        f"learning rate, so a term of that order is wrong or missing"
    )


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("path", ["reference", "barycentre"])
@pytest.mark.parametrize(("degree", "order"), [(2, 1), (2, 2), (3, 2)])
def test_taylor_is_exact_where_higher_derivatives_vanish(degree, order, path, kind, tmp_path):
    rate = 0.01 if kind else 0.05
    problem, config = Polynomial(6, degree=degree), optimizer_config(learning_rate=rate, **kind)
    warm = warm_state(problem, problem.start, config)
    if path == "reference":
        states = torch_states(problem, warm, REFERENCE, config)
        about = expansion(problem, states, config, tmp_path)
    else:
        about = barycentre(problem, warm, len(OTHER), 1, config, tmp_path)
    with about as opened:
        estimated = ESTIMATORS[order](opened).replay(torch.tensor([OTHER]), ignore)[0]
    truth = torch_states(problem, warm, OTHER, config)[-1].parameters
    error = relative_error(estimated, truth)
    assert error < 1e-10, f"order {order} is not exact on degree {degree}: {error:.1e}"


def test_order_1_is_not_exact_on_a_cubic_loss(tmp_path):
    problem, config = Polynomial(6, degree=3), optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    with expansion(
        problem, torch_states(problem, warm, REFERENCE, config), config, tmp_path
    ) as about:
        estimated = Taylor1(about).replay(torch.tensor([OTHER]), ignore)[0]
    truth = torch_states(problem, warm, OTHER, config)[-1].parameters
    assert relative_error(estimated, truth) > 1e-6, (
        "the cubic test cannot tell orders 1 and 2 apart"
    )


@pytest.mark.parametrize("order", [1, 2])
def test_steps_of_several_units_repeated_and_missing_units_are_replayed(order, tmp_path):
    problem, config = Polynomial(6, degree=order + 1), optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    reference = [[0, 1], [2, 3], [4, 5]]
    schedules = [[[5, 2], [0, 4], [1, 3]], [[2, 2], [0, 4], [2, 3]]]
    states = torch_states(problem, warm, reference, config)
    with expansion(problem, states, config, tmp_path) as about:
        estimated = ESTIMATORS[order](about).replay(torch.tensor(schedules), ignore)
    for row, schedule in zip(estimated, schedules, strict=True):
        truth = torch_states(problem, warm, schedule, config)[-1].parameters
        assert relative_error(row, truth) < 1e-10, f"units of a step are mixed up in {schedule}"


def normalised(x):
    """Return x / |x| by rows."""
    return x / x.norm(dim=-1, keepdim=True)


class Kernel(torch.autograd.Function):
    """`normalised` with a gradient that has no graph, like that of a fused kernel."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return normalised(x)

    @staticmethod
    def backward(ctx, slope):
        x = ctx.saved_tensors[0].detach().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(normalised(x), x, slope.detach())[0]


class Norm(torch.nn.Module):
    """A norm of a model, with its scale, computed by a given function."""

    def __init__(self, norm, function):
        super().__init__()
        self.weight, self.function = norm.weight, function

    def forward(self, x):
        return self.weight * x.shape[-1] ** 0.5 * self.function(x)


def replayed_with(function, order, folder):
    """Return the end of a replay of a language model, whose last norm is a given function."""
    problem, config = language_problem(), optimizer_config(learning_rate=4e-3, epsilon=1e-4)
    decoder = problem.model.module.model
    decoder.norm = Norm(decoder.norm, function)
    warm = warm_state(problem, problem.model.parameters(), config)
    states = torch_states(problem, warm, REFERENCE, config)
    with expansion(problem, states, config, folder) as about:
        return ESTIMATORS[order](about).replay(torch.tensor([OTHER]), ignore)[0], problem.meter


@pytest.mark.parametrize("order", [1, 2])
def test_a_model_with_a_kernel_without_second_derivatives_uses_finite_differences(order, tmp_path):
    with pytest.warns(UserWarning, match="by differences of gradients: autograd omits a part"):
        estimated, meter = replayed_with(Kernel.apply, order, tmp_path / "kernel")
    expected, exact_meter = replayed_with(normalised, order, tmp_path / "exact")
    error = relative_error(estimated, expected)
    assert error < 1e-6, f"finite differences change the result by {error:.1e}"
    if order == 1:  # two gradients replace each product; a shorter difference confirms the first
        sequences = language_problem().sequences
        checked = products({"gradients": 2 * sequences})
        assert products(meter.total) == products(exact_meter.total) + checked


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("order", [1, 2])
def test_a_model_with_second_derivatives_uses_no_finite_differences(order, tmp_path, monkeypatch):
    monkeypatch.setattr(derivatives, "_differenced", None)  # a call would raise
    replayed_with(normalised, order, tmp_path)

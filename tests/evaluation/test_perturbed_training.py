"""Growth and linearity of perturbed trainings, against closed forms in float64."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from problems import KINDS, Polynomial, language_problem, optimizer_config
from trainorder.errors import DivergedError
from trainorder.evaluation import perturbed_training
from trainorder.evaluation.perturbed_training import (
    DIRECTIONS,
    LARGE_RUNS,
    Metric,
    first_steps,
    responses,
    trained_steps,
)
from trainorder.training.optimizer import MOMENTS, State, build_optimizer
from trainorder.training.trainer import torch_optimizer

UNITS, RATE = 16, 0.05


def state(theta):
    return State(theta.clone(), torch.zeros_like(theta), torch.zeros_like(theta), 0)


def schedules(per_step=1, count=1 + DIRECTIONS, seed=1):
    """Return random schedules (T, k); the first one is the reference."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(UNITS).reshape(-1, per_step) for _ in range(count)]


def measured(problem, config, orders=None, start=None):
    reference, *others = orders or schedules()
    start = state(problem.start) if start is None else start
    return responses(problem, build_optimizer(config, UNITS), start, reference, others)


def trained(problem, config, schedule, theta):
    """Return the parameters and the optimizer of `torch.optim` after training from `theta`."""
    parameter = torch.nn.Parameter(theta.clone())
    optimizer = torch_optimizer(_Model(parameter), config)
    for units in schedule:
        optimizer.zero_grad()
        torch.stack([problem.loss(parameter, int(unit)) for unit in units]).mean().backward()
        optimizer.step()
    return parameter.detach(), optimizer.state[parameter]


def scale(config, optimizer_state, steps):
    """Return the fourth root of Adam's v_hat; 1 for SGD."""
    if "exp_avg_sq" not in optimizer_state:
        return 1.0
    return (optimizer_state["exp_avg_sq"] / (1 - config.beta2**steps)) ** 0.25


class _Model:
    """What `torch_optimizer` reads of a model."""

    def __init__(self, parameter):
        self.trained = [parameter]


def direction(problem, config, reference, order):
    k = first_steps(len(reference))
    start = problem.start
    return (
        trained(problem, config, order[:k], start)[0]
        - trained(problem, config, reference[:k], start)[0]
    )


def test_growth_of_sgd_on_a_quadratic_is_that_of_the_product_of_its_steps():
    problem, config = Polynomial(UNITS), optimizer_config(**KINDS["sgd"], learning_rate=RATE)
    orders = schedules()
    product = torch.eye(problem.size, dtype=torch.float64)
    for [unit] in orders[0]:
        hessian = torch.func.hessian(lambda theta, unit=int(unit): problem.loss(theta, unit))
        product = product - RATE * hessian(problem.start) @ product
    for response, order in zip(measured(problem, config, orders), orders[1:], strict=True):
        d = direction(problem, config, orders[0], order)
        expected = float((product @ d).norm() / d.norm())
        assert response.growth == pytest.approx(expected, rel=1e-6), (
            "the perturbed run does not follow the reference order from the start"
        )
        assert response.size == pytest.approx(float(d.norm()))


@pytest.mark.parametrize("kind", ["sgd", "sgd with momentum"])
def test_sgd_on_a_quadratic_is_linear(kind):
    config = optimizer_config(**KINDS[kind], learning_rate=RATE)
    linear = [response.linearity for response in measured(Polynomial(UNITS), config)]
    assert linear[:LARGE_RUNS] == pytest.approx([1.0] * LARGE_RUNS, abs=1e-9)
    assert linear[LARGE_RUNS:] == [None] * (DIRECTIONS - LARGE_RUNS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", [2, 3])
def test_growth_and_linearity_equal_those_of_brute_force_training(kind, degree):
    problem = Polynomial(UNITS, degree=degree)
    config = optimizer_config(**KINDS[kind], learning_rate=0.02, weight_decay=0.1)
    orders = schedules(per_step=2)
    end, moments = trained(problem, config, orders[0], problem.start)
    weight = scale(config, moments, UNITS // 2)
    for response, order in zip(measured(problem, config, orders), orders[1:], strict=True):
        d = direction(problem, config, orders[0], order)
        small, large = (
            weight * (trained(problem, config, orders[0], problem.start + factor * d)[0] - end)
            for factor in (response.factor, 1.0)
        )
        growth = float(small.norm() / (response.factor * weight * d).norm())
        assert response.growth == pytest.approx(growth, rel=1e-4)
        if response.linearity is not None:
            cosine = float(small @ large / small.norm() / large.norm())
            assert response.linearity == pytest.approx(cosine, abs=1e-4)


def test_the_change_starts_with_the_moments_before_the_window():
    """A run that continues a training has other moments than a new one, and another growth."""
    problem, config = Polynomial(UNITS), optimizer_config(learning_rate=RATE)
    warm = state(problem.start)
    warm.exp_avg_sq.fill_(100.0)
    warm.step = 50
    new, continued = (measured(problem, config, start=start)[0].growth for start in (None, warm))
    assert new != pytest.approx(continued, rel=0.01)


def test_the_start_is_not_changed():
    problem = Polynomial(UNITS)
    start = state(problem.start)
    measured(problem, optimizer_config(), start=start)
    assert torch.equal(start.parameters, problem.start)
    assert start.step == 0
    assert not start.exp_avg.any()


def test_rounding_of_single_precision_does_not_decide_growth():
    """Single and double precision agree, for a language model that has been trained before."""
    config, exact = optimizer_config(learning_rate=2e-3), language_problem(UNITS)
    warm = state(exact.model.parameters())
    perturbed_training.train(
        exact, build_optimizer(config, UNITS), warm, np.arange(64)[:, None] % UNITS
    )
    growth = {}
    for dtype in (torch.float32, torch.float64):
        start = State(*(getattr(warm, name).to(dtype) for name in MOMENTS), warm.step)
        result = measured(language_problem(UNITS, dtype=dtype), config, start=start)
        growth[dtype] = [response.growth for response in result]
    assert growth[torch.float32] == pytest.approx(growth[torch.float64], rel=0.05), (
        "the small change is too small for float32"
    )


def test_the_small_change_is_well_above_rounding_and_well_below_what_orders_cause():
    theta = torch.full((10_000,), 0.1)
    for size in (0.1, 1.0, 10.0):
        step = Metric(torch.ones_like(theta)).small_factor(theta, size) * size
        assert step <= size / 10
    assert step == pytest.approx(float(theta.norm()) * 2**-11.5, rel=1e-5)
    assert step > 1000 * float(theta.norm()) * torch.finfo(torch.float32).eps


def test_the_same_inputs_give_the_same_numbers():
    first, second = (measured(Polynomial(UNITS, degree=3), optimizer_config()) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("per_step", [1, 4])
def test_gradients_are_counted(per_step):
    problem, orders = Polynomial(UNITS), schedules(per_step)
    measured(problem, optimizer_config(), orders)
    units = trained_steps(UNITS // per_step) * per_step
    assert problem.meter.total == {"gradients": units * problem.sequences}


def test_the_cost_is_about_four_retrainings_beside_the_reference():
    for steps in (8, 32, 1000):
        assert 4 <= trained_steps(steps) / steps - 1 < 5


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 9, 64])
def test_orders_differ_in_the_first_steps_of_the_window(steps):
    assert 1 <= first_steps(steps) <= steps
    assert first_steps(steps) >= min(steps, 2), "a linear warm-up has the rate 0 at the first step"


def test_orders_that_change_nothing_have_no_response():
    reference = schedules()[0]
    same_start = reference.copy()
    same_start[first_steps(UNITS) :] = reference[first_steps(UNITS) :][::-1]
    result = measured(Polynomial(UNITS), optimizer_config(), [reference, same_start, same_start])
    assert result == []


@dataclass
class _Undefined(Polynomial):
    """Each unit has a finite loss at its first few evaluations only."""

    finite: int = 0

    def loss(self, theta, unit):
        self.finite -= 1
        return super().loss(theta, unit) * (1 if self.finite >= 0 else math.nan)


@pytest.mark.parametrize("finite", [UNITS, UNITS + 5], ids=["the order", "the perturbed run"])
def test_a_training_that_diverges_after_the_reference_has_infinite_growth(finite):
    result = measured(_Undefined(UNITS, finite=finite), optimizer_config())
    assert [response.growth for response in result] == [math.inf] * DIRECTIONS
    assert result[0].linearity is None


def test_a_reference_order_that_diverges_raises_one_line():
    problem = Polynomial(UNITS)
    config = optimizer_config(**KINDS["sgd"], learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"order reference: step 15: .*lower optimizer.lear"):
        measured(problem, config)

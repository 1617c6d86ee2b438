"""Growth and linearity of perturbed trainings, against closed forms in float64."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from problems import KINDS, Polynomial, language_problem, optimizer_config
from trainorder.errors import DivergedError
from trainorder.evaluation.perturbed_training import (
    DIRECTIONS,
    Metric,
    ReferenceRun,
    first_steps,
    linearity_steps,
    responses,
    trained_steps,
)
from trainorder.evaluation.resumable_training import Trainings
from trainorder.expansion.path import opened_path, write_path
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.optimizer import MOMENTS, State, build_optimizer
from trainorder.training.trainer import torch_optimizer

UNITS, RATE = 16, 0.05


def state(theta):
    return State(theta.clone(), torch.zeros_like(theta), torch.zeros_like(theta), 0)


def schedules(per_step=1, count=1 + DIRECTIONS, seed=1):
    """Return random schedules (T, k); the first one is the reference."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(UNITS).reshape(-1, per_step) for _ in range(count)]


@pytest.fixture
def trainings(tmp_path):
    """Return a function that returns the trainings of a problem, in a folder that they share."""

    def make(problem, config, key="key", every=100):
        return Trainings(
            problem,
            build_optimizer(config, UNITS),
            lambda name: Checkpoints(tmp_path / key, name, every),
        )

    return make


@pytest.fixture
def measured(trainings, tmp_path_factory):
    """Return a function that returns the responses in the directions of random orders."""

    def measure(problem, config, orders=None, start=None, key=None, every=100):
        reference, *others = orders or schedules()
        key = key or tmp_path_factory.mktemp("each").name
        own = trainings(problem, config, key, every)
        start = state(problem.start) if start is None else start
        return responses(own, ReferenceRun.trained(own, start, reference), others)

    return measure


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
    k, start = first_steps(len(reference)), problem.start
    ends = [trained(problem, config, schedule[:k], start)[0] for schedule in (order, reference)]
    return ends[0] - ends[1]


def test_growth_of_sgd_on_a_quadratic_is_that_of_the_product_of_its_steps(measured):
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
def test_sgd_on_a_quadratic_is_linear_in_every_direction(measured, kind):
    config = optimizer_config(**KINDS[kind], learning_rate=RATE)
    linear = [response.linearity for response in measured(Polynomial(UNITS), config)]
    assert linear == pytest.approx([1.0] * DIRECTIONS, abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("degree", [2, 3])
def test_growth_and_linearity_equal_those_of_brute_force_training(measured, kind, degree):
    problem = Polynomial(UNITS, degree=degree)
    config = optimizer_config(**KINDS[kind], learning_rate=0.02, weight_decay=0.1)
    reference, *others = orders = schedules(per_step=2)
    weight = scale(config, trained(problem, config, reference, problem.start)[1], UNITS // 2)
    for response, order in zip(measured(problem, config, orders), others, strict=True):
        d = direction(problem, config, reference, order)

        def change(factor, steps, d=d):
            perturbed, end = (
                trained(problem, config, reference[:steps], problem.start + by * d)[0]
                for by in (factor, 0.0)
            )
            return weight * (perturbed - end)

        growth = change(response.factor, None).norm() / (response.factor * weight * d).norm()
        assert response.growth == pytest.approx(float(growth), rel=1e-4)
        third = linearity_steps(len(reference))
        small, large = change(response.factor, third), change(1.0, third)
        cosine = float(small @ large / small.norm() / large.norm())
        assert response.linearity == pytest.approx(cosine, abs=1e-4)


def test_the_change_starts_with_the_moments_before_the_window(measured):
    """A run that continues a training has other moments than a new one, and another growth."""
    problem, config = Polynomial(UNITS), optimizer_config(learning_rate=RATE)
    warm = state(problem.start)
    warm.exp_avg_sq.fill_(100.0)
    warm.step = 50
    new, continued = (measured(problem, config, start=start)[0].growth for start in (None, warm))
    assert new != pytest.approx(continued, rel=0.01)


def test_the_start_is_not_changed(measured):
    problem = Polynomial(UNITS)
    start = state(problem.start)
    measured(problem, optimizer_config(), start=start)
    assert torch.equal(start.parameters, problem.start)
    assert start.step == 0
    assert not start.exp_avg.any()


def test_a_stored_path_gives_the_numbers_of_a_trained_reference(trainings, tmp_path):
    problem, config = Polynomial(UNITS, degree=3), optimizer_config()
    orders, own, start = schedules(), trainings(problem, config), state(problem.start)
    run = ReferenceRun.trained(own, start, orders[0])
    states = [start]
    for units in orders[0]:
        name = f"step-{len(states)}"
        states.append(own.trained(name, states[-1].clone(), units[None]))
    (tmp_path / "reference").mkdir()
    file = tmp_path / "reference/path.h5"
    write_path(file, "key", states.__getitem__, steps=UNITS, anchors=np.arange(UNITS))
    with opened_path(file, "key") as path:
        stored = ReferenceRun.of_path(path, orders[0])
    assert responses(own, stored, orders[1:]) == responses(own, run, orders[1:])


def test_rounding_of_single_precision_does_not_decide_growth(measured, trainings):
    """Single and double precision agree, for a language model that has been trained before."""
    config, exact = optimizer_config(learning_rate=2e-3), language_problem(UNITS)
    warm = trainings(exact, config, "warm").trained(
        "warm", state(exact.model.parameters()), np.arange(64)[:, None] % UNITS
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


def test_the_same_inputs_give_the_same_numbers(measured):
    first, second = (measured(Polynomial(UNITS, degree=3), optimizer_config()) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("per_step", [1, 4])
def test_gradients_are_counted(measured, per_step):
    problem, orders = Polynomial(UNITS), schedules(per_step)
    measured(problem, optimizer_config(), orders)
    units = trained_steps(UNITS // per_step, reference=True) * per_step
    assert problem.meter.total == {"gradients": units * problem.sequences}


def test_the_cost_is_about_four_retrainings_beside_the_reference():
    for steps in (16, 32, 48, 1000):
        assert 4 < trained_steps(steps) / steps <= 4.4
        assert trained_steps(steps, reference=True) == trained_steps(steps) + steps


@pytest.mark.parametrize("steps", [1, 2, 3, 8, 9, 64])
def test_orders_differ_in_the_first_steps_of_the_window(steps):
    assert 1 <= first_steps(steps) <= steps
    assert first_steps(steps) >= min(steps, 2), "a linear warm-up has the rate 0 at the first step"
    assert first_steps(steps) <= linearity_steps(steps) <= steps


def test_orders_that_change_nothing_have_no_response(measured):
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


EACH = first_steps(UNITS) + linearity_steps(UNITS) + UNITS  # steps of a direction


# The order is followed first, then the large change, then the small one.
@pytest.mark.parametrize(
    ("finite", "diverging"),
    [(UNITS, 3), (UNITS + EACH - 1, 3), (UNITS + EACH + 5, 2)],
    ids=["the first steps", "the small change", "the second direction"],
)
def test_a_training_that_diverges_after_the_reference_has_infinite_growth(
    measured, finite, diverging
):
    result = measured(_Undefined(UNITS, finite=finite), optimizer_config())
    growths = [math.inf if not math.isfinite(response.growth) else 0.0 for response in result]
    assert growths == [0.0] * (DIRECTIONS - diverging) + [math.inf] * diverging
    assert result[-1].linearity is None


def test_a_reference_order_that_diverges_raises_one_line(measured):
    problem = Polynomial(UNITS)
    config = optimizer_config(**KINDS["sgd"], learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"order reference: step 15: .*lower optimizer.lear"):
        measured(problem, config)


class _KilledError(Exception):
    pass


@dataclass
class _Killing(Polynomial):
    """The process is killed after a number of evaluations."""

    left: float = math.inf

    def loss(self, theta, unit):
        if self.left <= 0:
            raise _KilledError
        self.left -= 1
        return super().loss(theta, unit)


FIRST, THIRD = first_steps(UNITS), linearity_steps(UNITS)


@pytest.mark.parametrize(
    ("killed", "kept", "every"),
    [
        (3, FIRST, 100),  # in the reference, whose first two steps are a training of their own
        (UNITS + 1, UNITS, 100),
        (UNITS + FIRST + THIRD + 3, UNITS + FIRST + THIRD, 100),
        (UNITS + EACH - 2, UNITS + EACH - UNITS + THIRD, 100),
        (UNITS + EACH - 2, UNITS + EACH - UNITS + THIRD + 8, 8),
        (UNITS + 2 * EACH + 1, UNITS + 2 * EACH, 100),
    ],
)
def test_a_killed_measurement_resumes_from_its_last_state(measured, killed, kept, every):
    """The resumed one gives the same numbers and counts, and repeats no stored step."""
    whole, config = _Killing(UNITS, degree=3), optimizer_config()
    expected = measured(whole, config)
    with pytest.raises(_KilledError):
        measured(_Killing(UNITS, degree=3, left=killed), config, key="killed", every=every)
    all_steps = trained_steps(UNITS, reference=True)
    resumed = _Killing(UNITS, degree=3, left=all_steps - kept)
    assert measured(resumed, config, key="killed", every=every) == expected
    assert resumed.left == 0, "a stored state was not used"
    assert resumed.meter.total == whole.meter.total, "the costs depend on the interruption"

"""The effects of `adjoint` are the derivatives of real training, and `predict` adds them up."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch

from problems import (
    HORIZON,
    Polynomial,
    barycentre,
    every_sequence,
    expansion,
    language_problem,
    optimizer_config,
    relative_error,
    torch_states,
    warm_state,
)
from trainorder.estimators.adjoint import (
    PathEffects,
    barycentre_steps,
    path_effects,
    reference_steps,
)
from trainorder.numerics.derivatives import gradient
from trainorder.training.averaged_states import averaged_steps
from trainorder.training.optimizer import build_optimizer
from trainorder.training.problem import unit_gradients

OPTIMIZERS = {
    "adamw": {},
    "adamw with decay and cosine": {"weight_decay": 0.3, "schedule": "cosine"},
    "adamw with clipping": {"gradient_clip": 0.5},
    "sgd": {"name": "sgd", "momentum": 0.0},
    "sgd with momentum and decay": {"name": "sgd", "momentum": 0.9, "weight_decay": 0.3},
    "sgd with momentum and clipping": {"name": "sgd", "gradient_clip": 0.5},
}
SCHEDULES = {"one unit": [[3], [0], [2], [1], [4]], "two units": [[3, 0], [2, 1], [4, 3], [0, 1]]}


def reference_effects(problem, schedule, config, folder, averaged_states=None):
    """Return the warm state, the path's states and the effects about the reference path."""
    theta = problem.start if isinstance(problem, Polynomial) else problem.model.parameters()
    warm = warm_state(problem, theta, config)
    states = torch_states(problem, warm, schedule, config)
    with expansion(problem, states, config, folder) as about:
        steps = reference_steps(problem, np.array(schedule))
        return states, path_effects(about, steps, averaged_states)


def end_losses(problem, theta):
    """Return the losses of the goals at `theta`."""
    goals = range(len(problem.goals))
    return torch.stack([problem.goal_loss(theta, goal).detach() for goal in goals])


def trained(problem, start, schedule, config, *, step=0, change=0.0, weight=1.0, unit=None):
    """Return the states of a training whose gradient is changed.

    At `step` it is increased by `change`, and all gradients of `unit` are multiplied by `weight`.
    """
    optimizer, state = build_optimizer(config, HORIZON), start.clone()
    states = [state.clone()]
    for t, units in enumerate(schedule):
        rows = [
            gradient(lambda x, u=u: problem.loss(x, u), state.parameters)
            * (weight if u == unit else 1)
            for u in units
        ]
        g = torch.stack(rows).mean(0)
        optimizer.update(state, g + (change if t == step else 0))
        states.append(state.clone())
    return states


def differences(function, e=1e-5):
    """Return the central difference of a function of one number at 0."""
    return (function(e) - function(-e)) / (2 * e)


@pytest.mark.parametrize("changes", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_an_effect_is_the_derivative_of_training_in_the_gradient_of_its_step(
    schedule, changes, tmp_path
):
    problem, config = Polynomial(5, degree=3), optimizer_config(**changes)
    states, found = reference_effects(problem, schedule, config, tmp_path)
    for t in range(len(schedule)):
        table = unit_gradients(problem, states[t].parameters)

        def at(e, unit, t=t, table=table):
            change = e * table[unit]
            ends = trained(problem, states[0], schedule, config, step=t, change=change)
            return end_losses(problem, ends[-1].parameters)

        expected = torch.stack([differences(partial(at, unit=unit)) for unit in range(5)])
        error = relative_error(found.effects[t], expected)
        assert error < 1e-6, f"step {t}: the adjoint of {config.name} is wrong by {error:.1e}"


def test_clipping_is_active_in_these_tests():
    problem, config = Polynomial(5, degree=3), optimizer_config(gradient_clip=0.5)
    theta = warm_state(problem, problem.start, config).parameters
    norms = [gradient(lambda x, u=u: problem.loss(x, u), theta).norm() for u in range(5)]
    assert min(norms) > 0.5


@pytest.mark.parametrize("changes", [{}, OPTIMIZERS["sgd with momentum and decay"]])
def test_the_effects_on_a_language_model_equal_differences_of_trainings(changes, tmp_path):
    problem, config = language_problem(units=4), optimizer_config(**changes)
    schedule = [[3], [0], [2], [1]]
    states, found = reference_effects(problem, schedule, config, tmp_path)
    for t, unit in [(0, 1), (1, 3), (2, 2), (3, 0)]:
        g = gradient(lambda x, u=unit: problem.loss(x, u), states[t].parameters)

        def at(e, t=t, g=g):
            ends = trained(problem, states[0], schedule, config, step=t, change=e * g)
            return end_losses(problem, ends[-1].parameters)

        error = relative_error(found.effects[t, unit], differences(at, 1e-4))
        assert error < 1e-4, f"step {t}, unit {unit}: the Hessian-vector products are wrong"


@pytest.mark.parametrize("changes", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_the_effects_of_a_unit_sum_to_the_derivative_in_its_weight(changes, tmp_path):
    problem, config = Polynomial(5, degree=3), optimizer_config(**changes)
    schedule = SCHEDULES["two units"]
    states, found = reference_effects(problem, schedule, config, tmp_path)
    for unit in range(5):
        visits = torch.tensor([units.count(unit) / len(units) for units in schedule]).double()

        def at(e, unit=unit):
            ends = trained(problem, states[0], schedule, config, unit=unit, weight=1 + e)
            return end_losses(problem, ends[-1].parameters)

        error = relative_error(visits @ found.effects[:, unit], differences(at))
        assert error < 1e-6, f"leaving out unit {unit} has another first-order effect"


def test_on_a_quadratic_problem_with_sgd_effects_have_the_closed_form(tmp_path):
    problem, config = Polynomial(5), optimizer_config(name="sgd", momentum=0.0)
    schedule = SCHEDULES["one unit"]
    states, found = reference_effects(problem, schedule, config, tmp_path)
    end = states[-1].parameters
    adjoint = torch.stack([gradient(lambda x, d=d: problem.goal_loss(x, d), end) for d in range(2)])
    for t in reversed(range(len(schedule))):
        theta = states[t].parameters
        table = problem.linear + torch.einsum("uij,j->ui", problem.square, theta)
        expected = -config.learning_rate * table @ adjoint.T
        assert relative_error(found.effects[t], expected) < 1e-12, f"step {t}"
        adjoint -= config.learning_rate * adjoint @ problem.square[schedule[t][0]]


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("name", ["adamw", "sgd"])
@pytest.mark.parametrize("clip", [None, 0.5], ids=["", "clipped"])
def test_about_the_barycentre_effects_are_derivatives_in_the_shares_of_units(
    clip, name, k, tmp_path
):
    problem = Polynomial(5, degree=3, noise=0.0)
    config = optimizer_config(weight_decay=0.2, name=name, gradient_clip=clip)
    warm, units, steps = warm_state(problem, problem.start, config), 5, 4
    clusters = every_sequence(problem, np.arange(units))
    with barycentre(problem, warm, steps, k, config, tmp_path) as about:
        found = path_effects(about, barycentre_steps(problem, clusters, steps, k))
    c, optimizer = (units - k) / (k * (units - 1)), build_optimizer(config, HORIZON)

    def run(t, unit, e):
        state = warm.clone()
        for step in range(steps):
            shares = torch.full((units,), 1 / units, dtype=torch.float64)
            shares[unit] += e if step == t else 0.0
            rows = [gradient(lambda x, u=u: problem.loss(x, u), state.parameters) for u in range(5)]
            table = torch.stack(rows)
            mean = shares @ table
            square = (1 - c) * mean**2 + c * (shares @ table**2)
            scale = optimizer.clip_scale(square.sum().sqrt())
            optimizer.apply(state, scale * mean, scale**2 * square)
        return end_losses(problem, state.parameters)

    for t, unit in itertools.product(range(steps), range(units)):
        expected = differences(lambda e, t=t, unit=unit: run(t, unit, e))
        error = relative_error(found.effects[t, unit], expected)
        assert error < 1e-6, f"step {t}, unit {unit}: wrong in the direction of the schedule"
    assert torch.allclose(found.consumed, found.effects.mean(1), rtol=0, atol=1e-12)


def test_the_order_of_the_path_is_estimated_exactly(tmp_path):
    problem, config = Polynomial(5, degree=3), optimizer_config()
    schedule = SCHEDULES["two units"]
    states, found = reference_effects(problem, schedule, config, tmp_path)
    expected = end_losses(problem, states[-1].parameters)
    assert relative_error(found.predict(torch.tensor([schedule]))[0], expected) < 1e-12


@pytest.mark.parametrize("other", [[[0], [3], [2], [4], [1]], [[3], [0], [2], [2], [4]]])
def test_the_error_of_another_schedule_is_quadratic_in_the_difference_of_the_units(other, tmp_path):
    schedule, errors = SCHEDULES["one unit"], []
    for spread in (1e-2, 1e-3):
        problem = Polynomial(5, degree=3, kinds=1, spread=spread)
        config = optimizer_config()
        (folder := tmp_path / str(spread)).mkdir()
        states, found = reference_effects(problem, schedule, config, folder)
        true = end_losses(
            problem, trained(problem, states[0], other, config)[-1].parameters
        ) - end_losses(problem, states[-1].parameters)
        estimated = found.predict(torch.tensor([other]))[0] - found.losses
        errors.append(relative_error(estimated, true))
    assert errors[1] < min(0.1, errors[0] / 5), f"relative errors {errors}: not of second order"


def test_effects_on_averaged_weights_are_derivatives_too(tmp_path):
    problem, config = Polynomial(5, degree=3), optimizer_config()
    schedule = SCHEDULES["one unit"]
    states, found = reference_effects(problem, schedule, config, tmp_path, averaged_states=3)

    def mean_losses(states):
        mean = torch.stack([states[t].parameters for t in averaged_steps(5, 3)]).mean(0)
        return end_losses(problem, mean)

    assert relative_error(found.losses[2:], mean_losses(states)) < 1e-12
    for t in range(5):
        g = gradient(lambda x: problem.loss(x, 1), states[t].parameters)

        def at(e, t=t, g=g):
            return mean_losses(trained(problem, states[0], schedule, config, step=t, change=e * g))

        assert relative_error(found.effects[t, 1, 2:], differences(at)) < 1e-6, f"step {t}"


def test_parameters_without_a_gradient_keep_effects_finite(tmp_path):
    problem, config = Polynomial(5), optimizer_config()
    problem.linear[:, 0] = 0
    problem.square[:, 0] = problem.square[:, :, 0] = 0
    _, found = reference_effects(problem, SCHEDULES["one unit"], config, tmp_path)
    assert torch.isfinite(found.effects).all()


def test_effects_are_stored_without_a_change(tmp_path):
    problem, config = Polynomial(5), optimizer_config()
    schedule = SCHEDULES["one unit"]
    _, found = reference_effects(problem, schedule, config, tmp_path, averaged_states=2)
    found.save(tmp_path / "effects.h5", "k")
    loaded = PathEffects.load(tmp_path / "effects.h5", "k")
    orders = torch.tensor([schedule, schedule[::-1]])
    assert torch.equal(loaded.predict(orders), found.predict(orders))
    assert (loaded.goals, loaded.averaged_states) == (["a", "b"], 2)

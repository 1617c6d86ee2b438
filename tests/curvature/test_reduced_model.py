"""The reduced model gives the losses of the replay, up to the rank of the preconditioner."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from problems import (
    HORIZON,
    KINDS,
    Polynomial,
    barycentre,
    every_sequence,
    expansion,
    ignore,
    language_problem,
    low_rank,
    optimizer_config,
    relative_error,
    warm_state,
    warm_without_memory,
)
from trainorder.curvature.build_reduced_model import ReducedModelBuilder, build_reduced_model
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.curvature.reduced_model import ReducedModel
from trainorder.estimators.nystrom import Nystrom
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.numerics.derivatives import gradient
from trainorder.training.optimizer import build_optimizer

UNITS, SIZE = 6, 9
LABELS = np.array([0, 1, 0, 1, 2, 0])


def reduced(about, model, units_per_step=1, count=40, readouts=None, **options):
    steps = about.path.steps
    schedules = probe_schedules((steps, units_per_step), about.problem.units, 0, count)
    metric = second_moment_scale(about)
    return build_reduced_model(about, model, schedules, metric, readouts or [steps], **options)


def expanded(about, ends, curvature, t=None, centre=None):
    """Return the goals' losses (O, D) to second order about the path, after t updates or all.

    `centre` (P,) replaces the parameters of the path.
    """
    problem = about.problem
    end = about.path.parameters(about.path.steps if t is None else t) if centre is None else centre
    moves = ends - end
    second = torch.einsum("oi,ij,oj->o", moves, curvature, moves) / 2
    columns = []
    for goal in range(len(problem.goals)):
        slope = gradient(lambda x, g=goal: problem.goal_loss(x, g), end)
        columns.append(problem.goal_loss(end, goal) + moves @ slope + second)
    return torch.stack(columns, 1)


def fixed_preconditioner(kind, problem):
    """Return a warm state, and an optimizer whose preconditioner no schedule changes."""
    if kind == "adamw":
        warm, changes = warm_without_memory(problem)
        return warm, optimizer_config(learning_rate=0.1, weight_decay=0.05, **changes)
    config = optimizer_config(learning_rate=0.02, weight_decay=0.3, **KINDS[kind])
    return warm_state(problem, problem.start, config), config


def trained(problem, start, schedule, config, decayed):
    """Return the states of training with the optimizer of replays."""
    optimizer, states = build_optimizer(config, HORIZON, decayed), [start]
    for units in schedule:
        state = states[-1].clone()
        rows = [gradient(lambda x, u=u: problem.loss(x, u), state.parameters) for u in units]
        optimizer.update(state, torch.stack(rows).mean(0))
        states.append(state)
    return states


@pytest.mark.parametrize("clip", [None, 1.5], ids=["", "clipped"])
@pytest.mark.parametrize("exempt", [False, True], ids=["decay", "exemptions"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("units_per_step", [1, 2])
@pytest.mark.parametrize("path", ["reference", "barycentre"])
def test_with_a_fixed_preconditioner_it_equals_the_replay(
    path, units_per_step, kind, exempt, clip, tmp_path
):
    problem = Polynomial(UNITS, size=SIZE, noise=0.0)
    warm, config = fixed_preconditioner(kind, problem)
    config, steps = replace(config, gradient_clip=clip), UNITS // units_per_step
    decayed = torch.arange(SIZE) % 3 > 0 if exempt else None
    if path == "barycentre":
        context = barycentre(
            problem, warm, steps, units_per_step, config, tmp_path, decayed=decayed
        )
    else:
        reference = np.arange(UNITS).reshape(steps, units_per_step)
        states = trained(problem, warm, reference, config, decayed)
        context = expansion(problem, states, config, tmp_path, decayed=decayed)
    schedules = probe_schedules((steps, units_per_step), UNITS, 3, 10)
    schedules[-1] = schedules[-1, :1]  # some units are left out
    with context as about:
        model, _ = low_rank(about, every_sequence(problem, np.arange(UNITS)))
        small = reduced(about, model, units_per_step, patterns=0)
        small.save(tmp_path / "reduced.h5", "k")
        losses = ReducedModel.load(tmp_path / "reduced.h5", "k").predict(schedules)
        ends = Nystrom(about, model).replay(schedules, ignore)
        expected = expanded(about, ends, problem.square.mean(0))
    spread = (expected - expected.mean(0)).norm()
    assert float(spread) > 1e-2, "all orders have the same losses here"
    error = float((losses - expected).norm() / spread)
    assert error < 1e-4, f"the error is {error:.1e} of the spread of the orders"


@pytest.fixture(scope="module")
def fixed(tmp_path_factory):
    """Return a case with a fixed preconditioner: expansion, reduced model, orders, replays."""
    problem = Polynomial(UNITS, size=SIZE, noise=0.0)
    warm, changes = warm_without_memory(problem)
    config = optimizer_config(learning_rate=0.1, weight_decay=0.05, **changes)
    schedules, seen = probe_schedules((UNITS, 1), UNITS, 3, 10), {}
    folder = tmp_path_factory.mktemp("fixed")
    with barycentre(problem, warm, UNITS, 1, config, folder) as about:
        model, _ = low_rank(about, every_sequence(problem, np.arange(UNITS)))
        small = reduced(about, model, patterns=0, readouts=[2, 4, UNITS])
        Nystrom(about, model).replay(schedules, lambda t, theta: seen.update({t: theta.clone()}))
        yield about, small, schedules, seen


def relative_to_spread(losses, expected):
    """Return the error of the losses as a share of the spread of the orders."""
    spread = (expected - expected.mean(0)).norm()
    assert float(spread) > 1e-3, "all orders have the same losses here"
    return float((losses - expected).norm() / spread)


def test_goals_are_read_along_the_window(fixed):
    about, small, schedules, seen = fixed
    losses = small.along(schedules)
    for place, t in enumerate([2, 4, UNITS]):
        expected = expanded(about, seen[t], about.problem.square.mean(0), t)
        error = relative_to_spread(losses[:, place], expected)
        assert error < 1e-4, f"after {t} updates the error is {error:.1e} of the spread"
    assert torch.equal(losses[:, -1], small.predict(schedules)), "the end is not the last readout"


def test_averaged_goals_are_read_at_the_mean_of_the_states(tmp_path):
    problem, readouts, count = Polynomial(UNITS, size=SIZE, noise=0.0), [2, UNITS], 4
    warm, changes = warm_without_memory(problem)
    config = optimizer_config(learning_rate=0.1, weight_decay=0.05, **changes)
    schedules, seen = probe_schedules((UNITS, 1), UNITS, 3, 10), {}
    with barycentre(problem, warm, UNITS, 1, config, tmp_path) as about:
        model, _ = low_rank(about, every_sequence(problem, np.arange(UNITS)))
        small = reduced(about, model, patterns=0, readouts=readouts, averaged_states=count)
        plain = reduced(about, model, patterns=0, readouts=readouts)
        Nystrom(about, model).replay(schedules, lambda t, theta: seen.update({t: theta.clone()}))
        path = [about.path.parameters(t) for t in range(UNITS + 1)]
    losses = small.along(schedules)
    assert torch.allclose(losses[..., :2], plain.along(schedules)), "it changes the last weights"
    assert torch.equal(losses[:, -1], small.predict(schedules)), "the end is not the last readout"
    assert torch.allclose(small.units(schedules), plain.units(schedules))
    for place, used in enumerate((range(1, 3), range(3, UNITS + 1))):
        mean, centre = (sum(one[t] for t in used) / len(used) for one in (seen, path))
        expected = expanded(about, mean, problem.square.mean(0), centre=centre)
        error = relative_to_spread(losses[:, place, 2:], expected)
        assert error < 1e-4, f"at readout {place} the error is {error:.1e} of the spread"
    small.save(tmp_path / "reduced.h5", "k")
    loaded = ReducedModel.load(tmp_path / "reduced.h5", "k")
    assert loaded.averaged_states == count
    assert torch.equal(loaded.along(schedules), losses), "the stored model differs"


@pytest.mark.parametrize("exempt", [False, True], ids=["plain", "exemptions and clipping"])
@pytest.mark.parametrize("averaged_states", [None, 2])
def test_readouts_that_are_added_later_are_those_of_a_model_with_all(
    averaged_states, exempt, tmp_path
):
    problem, steps = Polynomial(UNITS, size=SIZE), UNITS // 2
    clip = 1.0 if exempt else None
    config = optimizer_config(
        learning_rate=0.02, weight_decay=0.3, schedule="cosine", gradient_clip=clip
    )
    warm, schedules = warm_state(problem, problem.start, config), probe_schedules((3, 2), 6, 0, 20)
    decayed = torch.arange(SIZE) % 3 > 0 if exempt else None
    with barycentre(problem, warm, steps, 2, config, tmp_path, decayed=decayed) as about:
        model, _ = low_rank(about, every_sequence(problem, np.arange(UNITS)))
        builder = ReducedModelBuilder(about, model, schedules, second_moment_scale(about))
        few, every = (builder.build(r, averaged_states) for r in ([2, 3], [1, 2, 3]))
        more = builder.with_more_readouts(few, [1, 3])
    assert more.readouts.tolist() == [1, 2, 3]
    torch.testing.assert_close(more.along(schedules), every.along(schedules))
    torch.testing.assert_close(more.units(schedules), every.units(schedules))
    assert torch.equal(more.along(schedules)[:, 1:], few.along(schedules)), (
        "a readout that was there before has other numbers"
    )


def test_units_are_read_with_their_own_curvature(fixed):
    about, small, schedules, seen = fixed
    problem, end = about.problem, about.path.parameters(UNITS)
    moves, columns = seen[UNITS] - end, []
    for unit in range(UNITS):
        slope = gradient(lambda x, u=unit: problem.loss(x, u), end)
        second = torch.einsum("oi,ij,oj->o", moves, problem.square[unit], moves) / 2
        columns.append(problem.loss(end, unit) + moves @ slope + second)
    error = relative_to_spread(small.units(schedules), torch.stack(columns, 1))
    assert error < 1e-4, f"the error of the units' losses is {error:.1e} of their spread"


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Return an expansion with Adam's own preconditioner, and its low-rank model."""
    problem = Polynomial(UNITS, size=40, noise=0.2)
    config = optimizer_config(learning_rate=0.02)
    warm = warm_state(problem, problem.start, config, steps=20)
    with barycentre(problem, warm, 12, 1, config, tmp_path_factory.mktemp("store")) as about:
        clusters = Clusters(LABELS, draw_pools(LABELS, 4, 4, 0))
        yield about, low_rank(about, clusters)[0]


def test_patterns_make_it_more_exact(case):
    about, model = case
    schedules = probe_schedules((12, 1), UNITS, 3, 30)
    ends = Nystrom(about, model).replay(schedules, ignore)
    expected = expanded(about, ends, symmetric(mean_curvature(model)))
    errors = [
        relative_error(
            reduced(about, model, patterns=count).predict(schedules) - expected.mean(0),
            expected - expected.mean(0),
        )
        for count in (0, 1, 4)
    ]
    assert errors[2] < errors[0], f"patterns of the preconditioner do not help: {errors}"
    assert errors[2] < 0.3, f"large errors with four patterns: {errors}"


@pytest.mark.parametrize("kind", ["sgd", "sgd with momentum"])
def test_with_sgd_it_equals_the_replay_and_has_no_patterns(kind, tmp_path):
    problem = Polynomial(UNITS, size=40, noise=0.2)
    config = optimizer_config(learning_rate=0.02, weight_decay=0.1, **KINDS[kind])
    warm = warm_state(problem, problem.start, config, steps=20)
    schedules = probe_schedules((12, 1), UNITS, 3, 30)
    with barycentre(problem, warm, 12, 1, config, tmp_path) as about:
        model, _ = low_rank(about, Clusters(LABELS, draw_pools(LABELS, 4, 4, 0)))
        small = reduced(about, model)
        ends = Nystrom(about, model).replay(schedules, ignore)
        expected = expanded(about, ends, symmetric(mean_curvature(model)))
    assert small.responses.shape == (UNITS, 0), "a constant preconditioner has patterns"
    assert relative_to_spread(small.predict(schedules), expected) < 1e-6


def mean_curvature(model):
    """Return the mean over units of the modelled curvature (P, P) at the last probed step."""
    share = torch.bincount(model.labels).double() / UNITS
    mean = torch.einsum("c,cij->ij", share, model.cores[-1, :, : len(model.readers)])
    return model.readers.tensor.T @ mean @ model.readers.tensor


def symmetric(matrix):
    return (matrix + matrix.T) / 2


def test_predictions_do_not_depend_on_the_batch(case, monkeypatch):
    about, model = case
    small = reduced(about, model)
    schedules = probe_schedules((12, 1), UNITS, 3, 23)
    whole = small.predict(schedules)
    monkeypatch.setattr("trainorder.curvature.reduced_model.BATCH", 5)
    assert torch.allclose(small.predict(schedules), whole, rtol=1e-12), "orders are mixed up"
    alone = torch.cat([small.predict(schedules[i : i + 1]) for i in range(23)])
    assert torch.allclose(alone, whole, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_patterns_beyond_the_rank_of_the_preconditioners_are_zero(dtype, tmp_path):
    problem, config = Polynomial(UNITS, size=40).to(dtype), optimizer_config(learning_rate=0.02)
    warm = warm_state(problem, problem.start, config, steps=20)
    with barycentre(problem, warm, 6, 1, config, tmp_path) as about:
        model, _ = low_rank(about, every_sequence(problem, LABELS))
        # after a single step there are as many preconditioners as units
        models = [reduced(about, model, patterns=count) for count in (UNITS, 20)]
    for each in models:
        for name in ("steps", "drifts", "responses"):
            values = getattr(each, name)
            assert values.dtype == dtype
            assert torch.isfinite(values).all(), f"{name} is not finite"
            assert float(values.abs().max()) < 1e5, f"{name} is too large"
    few, many = (each.predict(probe_schedules((6, 1), UNITS, 3, 4)) for each in models)
    assert few.dtype == dtype
    assert torch.allclose(few, many, rtol=1e-2), "more patterns change the estimates"


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_is_read_back(kind, tmp_path):
    problem, config = Polynomial(UNITS, size=40), optimizer_config(weight_decay=0.1, **KINDS[kind])
    warm = warm_state(problem, problem.start, config, steps=20)
    with barycentre(problem, warm, 12, 1, config, tmp_path) as about:
        small = reduced(about, low_rank(about, every_sequence(problem, LABELS))[0])
    small.save(tmp_path / "reduced.h5", "k")
    loaded = ReducedModel.load(tmp_path / "reduced.h5", "k")
    assert loaded.goals == small.goals == ["a", "b"]
    schedules = probe_schedules((12, 1), UNITS, 3, 4)
    assert torch.equal(loaded.predict(schedules), small.predict(schedules))
    for name, value in vars(small).items():
        assert type(getattr(loaded, name)) is type(value), f"{name} has another type"


def test_goals_of_a_language_model_are_its_domains_at_the_end_of_the_path(tmp_path):
    problem, config = language_problem(), optimizer_config(learning_rate=1e-3)
    warm = warm_state(problem, problem.model.parameters(), config)
    labels = np.array([0, 0, 0, 1, 1, 1])
    with barycentre(problem, warm, 3, 2, config, tmp_path) as about:
        probes = torch.randn(3, problem.size, dtype=torch.float64)
        model, _ = low_rank(about, every_sequence(problem, labels), probes=probes)
        small = reduced(about, model, 2)
        end = problem.evaluate(about.path.parameters(3))
    assert small.goals == ["a", "b"]
    assert np.allclose(small.losses[-1].numpy(), end[1:], rtol=1e-12), "the goals are mixed up"

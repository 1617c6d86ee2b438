"""Outcomes of replay and of training have the same shape for all batch sizes."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from problems import (
    HORIZON,
    expansion,
    language_problem,
    optimizer_config,
    torch_states,
    warm_state,
)
from trainorder.data.metrics import metric_names
from trainorder.data.multiple_choice import choice_values, questions
from trainorder.errors import UserError
from trainorder.estimators.constant import Constant
from trainorder.estimators.fut import FUT, FUTPlusPlus
from trainorder.estimators.order0 import Order0
from trainorder.estimators.taylor import Taylor2
from trainorder.evaluation import replaying
from trainorder.evaluation.replaying import replay_orders, replayed_readouts
from trainorder.evaluation.retraining import TrainingSetup, retrain_orders
from trainorder.expansion import gradient_table as table
from trainorder.expansion import path
from trainorder.expansion import replay as base
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order import Order
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.checkpoints import Checkpoints

REFERENCE = np.arange(6)[:, None]
ORDERS = [
    Order(f"random-{i}", "random", "random", REFERENCE[::step]) for i, step in [(0, 1), (1, -1)]
]
ORDERS.append(Order("shifted", "custom", "custom", np.roll(REFERENCE, 2)))
FOLLOWED = ["random-1"]


def prepare():
    problem, config = language_problem(), optimizer_config(learning_rate=1e-3)
    warm = warm_state(problem, problem.model.parameters(), config)
    return problem, config, warm, torch_states(problem, warm, REFERENCE, config)


def real(warm, config, folder, readouts, run=None, averaged_states=None):
    def checkpoints(order, readout):
        return Checkpoints(folder / "work", f"{order}-{readout}", 4)

    return TrainingSetup(
        warm, config, HORIZON, readouts, checkpoints, run, averaged_states=averaged_states
    )


def test_readouts_divide_a_training_and_do_not_change_it(tmp_path):
    problem, config, warm, _ = prepare()
    sketch = SparseJL(problem.size, 64)
    whole, parts = (
        retrain_orders(
            problem,
            ORDERS,
            real(warm, config, tmp_path / name, readouts),
            followed=FOLLOWED,
            sketch=sketch,
            units={},
        )
        for name, readouts in (("whole", [6]), ("parts", [2, 3, 6]))
    )
    for name in ("value", "sketch", "trajectory", "train_loss"):
        assert np.array_equal(whole[name], parts[name]), f"readouts change {name}"
    assert parts["along"].shape == (3, 3, 3)
    assert np.array_equal(parts["along"][:, -1], parts["value"]), "the last readout is not the end"
    short = [Order("first", "custom", "custom", ORDERS[0].schedule[:2])]
    first = retrain_orders(
        problem,
        short,
        real(warm, config, tmp_path / "first", [2]),
        followed=[],
        sketch=sketch,
        units={},
    )
    assert np.array_equal(parts["along"][0, 0], first["value"][0]), "a readout is at another step"


def test_the_loss_of_the_unit_of_interest_is_reported(tmp_path):
    problem, config, warm, _ = prepare()
    units = {ORDERS[0].name: [0], ORDERS[1].name: [1, 4]}
    sketch = SparseJL(problem.size, 64)
    training = real(warm, config, tmp_path, [6])
    outcome = retrain_orders(problem, ORDERS, training, followed=[], sketch=sketch, units=units)
    unit_loss = outcome["unit_loss"]
    state = torch_states(problem, warm, ORDERS[1].schedule, config)[-1]
    assert unit_loss.shape == (3, 6)
    assert np.isfinite(unit_loss).tolist() == [
        [unit in recorded for unit in range(6)] for recorded in ([0], [1, 4], [])
    ]
    assert unit_loss[1, 4] == float(problem.loss(state.parameters, 4)), "the loss of another unit"


def test_replay_and_training_return_the_same_arrays(tmp_path):
    problem, config, warm, states = prepare()
    sketch = SparseJL(problem.size, 64)
    training = real(warm, config, tmp_path, [6])
    true = retrain_orders(problem, ORDERS, training, followed=FOLLOWED, sketch=sketch, units={})
    with expansion(problem, states, config, tmp_path) as about:
        estimated = replay_orders(Taylor2(about), problem, ORDERS, FOLLOWED, sketch)
    assert estimated["order"] == true["order"] == [order.name for order in ORDERS]
    assert estimated["metric"] == true["metric"] == ["heldout", "heldout/a", "heldout/b"]
    assert estimated["trajectory_order"] == true["trajectory_order"] == FOLLOWED
    assert true["train_loss"].shape == (3, 6)
    for name in ("value", "sketch", "trajectory"):
        assert estimated[name].shape == true[name].shape, f"{name} differs in shape"
        assert np.allclose(estimated[name], true[name], rtol=0, atol=1e-4), f"{name} differs"
    end = estimated["trajectory"][0, -1]
    assert np.array_equal(end, estimated["sketch"][1]), "a trajectory ends elsewhere"


AVERAGED = ["heldout", "heldout/a", "heldout/b"]
AVERAGED += [f"averaged_{metric}" for metric in AVERAGED]


def test_true_metrics_of_averaged_weights_are_those_of_the_mean_of_the_last_states(tmp_path):
    problem, config, warm, _ = prepare()
    sketch, count, readouts = SparseJL(problem.size, 64), 4, [2, 6]
    plain, outcome = (
        retrain_orders(
            problem,
            ORDERS,
            real(warm, config, tmp_path / str(averaged), readouts, averaged_states=averaged),
            followed=FOLLOWED,
            sketch=sketch,
            units={},
        )
        for averaged in (None, count)
    )
    assert outcome["metric"] == AVERAGED
    for name in ("sketch", "trajectory", "train_loss"):
        assert np.array_equal(plain[name], outcome[name]), f"averaging changes {name}"
    assert np.array_equal(plain["along"], outcome["along"][..., :3]), "it changes the last weights"
    assert np.array_equal(outcome["value"], outcome["along"][:, -1])
    for row, order in enumerate(ORDERS):
        states = [s.parameters for s in torch_states(problem, warm, order.schedule, config)]
        for place, used in enumerate((states[1:3], states[3:7])):
            expected = problem.evaluate(sum(used) / len(used))
            error = np.abs(outcome["along"][row, place, 3:] - expected).max()
            assert error < 1e-10, f"{order.name}: other states at readout {readouts[place]}"


def test_averaged_weights_of_an_existing_run_are_those_of_its_states(tmp_path):
    problem, config, warm, states = prepare()
    outcome = outcome_of_run(problem, config, warm, states, tmp_path, [2, 6], averaged_states=4)
    expected = problem.evaluate(sum(state.parameters for state in states[3:]) / 4)
    assert outcome["metric"] == AVERAGED
    assert np.allclose(outcome["value"][0, 3:], expected, rtol=1e-10)


@pytest.mark.parametrize("method", [Constant, Order0, Taylor2])
def test_estimates_of_averaged_weights_are_those_of_the_mean_of_the_replayed_states(
    method, tmp_path
):
    problem, config, _, states = prepare()
    sketch, seen = SparseJL(problem.size, 64), []
    schedules = torch.from_numpy(np.stack([order.schedule for order in ORDERS]))
    with expansion(problem, states, config, tmp_path) as about:
        plain = replay_orders(method(about), problem, ORDERS, FOLLOWED, sketch)
        outcome = replay_orders(method(about), problem, ORDERS, FOLLOWED, sketch, 4)
        along = replayed_readouts(method(about), problem, schedules, [2, 6], 4)
        method(about).replay(schedules, lambda t, parameters: seen.append(parameters.clone()))
    assert outcome["metric"] == AVERAGED
    assert np.array_equal(plain["value"], outcome["value"][:, :3]), "it changes the last weights"
    assert np.array_equal(along[:, -1], outcome["value"]), "the last readout is not the end"
    for row in range(len(ORDERS)):
        for place, used in enumerate((seen[1:3], seen[3:])):
            mean = sum(parameters[row] for parameters in used) / len(used)
            error = np.abs(along[row, place, 3:] - problem.evaluate(mean)).max()
            assert error < 1e-10, f"order {row}: other states at readout {place}"


def retrained_stepwise(problem, config, warm, folder, readouts=(6,), stepwise=True):
    return retrain_orders(
        problem,
        ORDERS,
        real(warm, config, folder, list(readouts)),
        followed=FOLLOWED,
        sketch=SparseJL(problem.size, 64),
        units={},
        stepwise=stepwise,
    )


@pytest.mark.parametrize("readouts", [(6,), (2, 6)])
def test_true_losses_at_every_step_are_those_of_torchs_states(readouts, tmp_path):
    problem, config, warm, _ = prepare()
    plain, outcome = (
        retrained_stepwise(problem, config, warm, tmp_path / str(flag), readouts, flag)
        for flag in (False, True)
    )
    for name in plain.keys() - {"stepwise"}:
        assert np.array_equal(plain[name], outcome[name], equal_nan=name == "unit_loss"), (
            f"taking the losses changes {name}"
        )
    assert plain["stepwise"].shape == (1, 7, 0)
    states = torch_states(problem, warm, ORDERS[1].schedule, config)
    expected = np.stack([problem.evaluate(state.parameters) for state in states])
    assert np.abs(outcome["stepwise"][0] - expected).max() < 1e-10, "losses of other steps"


def test_a_resumed_training_has_the_same_losses_at_every_step_and_counts_them_all(
    tmp_path, monkeypatch
):
    problem, config, warm, _ = prepare()
    whole = retrained_stepwise(problem, config, warm, tmp_path / "whole")
    counted = {span: dict(kinds) for span, kinds in problem.meter.counts.items()}
    problem.meter.counts.clear()
    batches, order = [], ORDERS[1].schedule

    def killed(units):
        if np.array_equal(units, order[5]) and len(batches) > 6:
            raise KeyboardInterrupt
        batches.append(units)
        return type(problem).batch(problem, units)

    monkeypatch.setattr(problem, "batch", killed)
    with pytest.raises(KeyboardInterrupt):
        retrained_stepwise(problem, config, warm, tmp_path / "killed")
    monkeypatch.undo()
    problem.meter.counts.clear()  # a new job
    resumed = retrained_stepwise(problem, config, warm, tmp_path / "killed")
    assert np.array_equal(whole["stepwise"], resumed["stepwise"])
    stepwise = counted["stepwise"]["losses"]
    assert problem.meter.counts["stepwise"]["losses"] == stepwise, "passes before the kill are lost"
    assert stepwise == 7 * math.prod(problem.corpus.heldout.shape[:2])


@pytest.mark.parametrize("method", [Constant, Order0, Taylor2])
def test_estimated_losses_at_every_step_are_those_of_the_replayed_states(method, tmp_path):
    problem, config, _, states = prepare()
    sketch, seen = SparseJL(problem.size, 64), []
    schedules = torch.from_numpy(np.stack([order.schedule for order in ORDERS]))
    with expansion(problem, states, config, tmp_path) as about:
        plain = replay_orders(method(about), problem, ORDERS, FOLLOWED, sketch)
        problem.meter.counts.clear()
        outcome = replay_orders(method(about), problem, ORDERS, FOLLOWED, sketch, stepwise=True)
        counted = problem.meter.counts["stepwise"]["losses"]
        method(about).replay(schedules, lambda t, parameters: seen.append(parameters[1].clone()))
    assert counted == 7 * math.prod(problem.corpus.heldout.shape[:2])
    for name in plain.keys() - {"stepwise"}:
        assert np.array_equal(plain[name], outcome[name]), f"taking the losses changes {name}"
    expected = np.stack([problem.evaluate(parameters) for parameters in seen])
    assert np.abs(outcome["stepwise"][0] - expected).max() < 1e-10, "losses of another order"
    assert np.array_equal(outcome["stepwise"][0, -1], outcome["value"][1])


def test_losses_at_every_step_of_an_existing_run_are_those_of_its_states(tmp_path):
    problem, config, warm, states = prepare()
    outcome = outcome_of_run(problem, config, warm, states, tmp_path, [6], stepwise=True)
    expected = np.stack([problem.evaluate(state.parameters) for state in states])
    assert np.abs(outcome["stepwise"][0] - expected).max() < 1e-10


def test_true_and_estimated_metrics_of_the_task_are_those_at_the_last_weights(tmp_path):
    plain, config, warm, states = prepare()
    task = questions(plain.corpus.heldout, 3, seed=0)
    problem, sketch, readouts = replace(plain, questions=task), SparseJL(plain.size, 64), [2, 6]
    training = real(warm, config, tmp_path, readouts, averaged_states=4)
    true = retrain_orders(problem, ORDERS, training, followed=[], sketch=sketch, units={})
    with expansion(problem, states, config, tmp_path) as about:
        estimator = Taylor2(about)
        estimated = replay_orders(estimator, problem, ORDERS, [], sketch, 4)
        schedules = torch.from_numpy(np.stack([order.schedule for order in ORDERS]))
        ends = estimator.replay(schedules, lambda t, parameters: None)
    for outcome in (true, estimated):
        assert outcome["metric"] == metric_names("ab", averaged=True, choices=True)
    for row, order in enumerate(ORDERS):
        reached = torch_states(problem, warm, order.schedule, config)
        for place, step in enumerate(readouts):
            expected = choice_values(problem.choice_losses(reached[step].parameters))
            error = np.abs(true["along"][row, place, 6:] - expected).max()
            assert error < 1e-10, f"{order.name}: the task is read elsewhere at {step}"
        expected = choice_values(problem.choice_losses(ends[row]))
        assert np.array_equal(estimated["value"][row, 6:], expected)


RUN = [Order("reference", "reference", "reference", REFERENCE), *ORDERS[1:]]


def outcome_of_run(
    problem, config, warm, states, folder, readouts, averaged_states=None, stepwise=False
):
    """Return the outcome of RUN, with the given states of the reference."""
    sketch, about = SparseJL(problem.size, 64), {"reference": [0, 3]}
    path.write_path(folder / "run.h5", "k", states.__getitem__, steps=6, anchors=np.arange(6))
    with opened(folder / "run.h5", "k", "reference") as file:
        training = real(warm, config, folder, readouts, path.StoredPath(file), averaged_states)
        return retrain_orders(
            problem, RUN, training, followed=["reference"], sketch=sketch, units=about,
            stepwise=stepwise,
        )  # fmt: skip


def test_the_order_of_a_run_has_the_truth_of_training_without_being_trained(tmp_path):
    problem, config, warm, states = prepare()
    readouts, sketch = [2, 6], SparseJL(problem.size, 64)
    trained = retrain_orders(
        problem,
        RUN,
        real(warm, config, tmp_path / "trained", readouts),
        followed=["reference"],
        sketch=sketch,
        units={"reference": [0, 3]},
    )
    problem.meter.counts.clear()
    outcome = outcome_of_run(problem, config, warm, states, tmp_path, readouts)
    assert problem.meter.orders == 3 + 2, "the order of the run was counted, too"
    sequences, heldout = problem.sequences, problem.corpus.heldout.shape[:2]
    assert problem.meter.counts == {
        "training": {"gradients": 2 * 6 * sequences},
        "evaluation": {"losses": 2 * 2 * math.prod(heldout)},
        "other": {"losses": 2 * math.prod(heldout) + (6 + 2) * sequences},
    }
    assert not list((tmp_path / "work").glob("0-*")), "a trainer kept states of the reference"
    assert outcome.keys() == trained.keys()
    for name, values in outcome.items():
        expected = trained[name]
        if isinstance(expected, list):
            assert values == expected
            continue
        assert values.shape == expected.shape, f"{name} differs in shape"
        assert np.array_equal(values[1:], expected[1:], equal_nan=True), f"{name} of others"
        assert np.allclose(values, expected, rtol=0, atol=1e-6, equal_nan=True), f"{name} differs"
    end = problem.evaluate(states[-1].parameters)
    assert np.array_equal(outcome["value"][0], end), "the truth is not that of the run's end"
    second = problem.evaluate(states[2].parameters)
    assert np.array_equal(outcome["along"][0, 0], second), "a readout is of another state"


def test_a_run_that_diverged_raises_one_line_with_the_step(tmp_path):
    problem, config, warm, states = prepare()
    states[3].parameters[:] = np.inf
    with pytest.raises(
        UserError, match=r"^order reference: step 3: a loss of the existing run"
    ) as error:
        outcome_of_run(problem, config, warm, states, tmp_path, [6])
    assert "\n" not in str(error.value)


def test_heldout_is_the_mean_over_domains(tmp_path):
    problem, *_ = prepare()
    value = problem.evaluate(problem.model.parameters())
    assert value[0] == np.mean(value[1:])


REPLAYS = {
    "order0": Order0,
    "fut": lambda about: FUT(about, 1.0),
    "fut++": lambda about: FUTPlusPlus(about, 1.0),
    "constant": Constant,
}


@pytest.mark.parametrize("anchors", [None, 3])
@pytest.mark.parametrize("method", REPLAYS)
def test_batches_and_blocks_do_not_change_a_replay(tmp_path, monkeypatch, method, anchors):
    problem, config, _, states = prepare()
    sketch = SparseJL(problem.size, 64)
    with expansion(problem, states, config, tmp_path, anchors) as about:
        whole = replay_orders(REPLAYS[method](about), problem, ORDERS, FOLLOWED, sketch)
    monkeypatch.setattr(replaying, "BATCH_NUMBERS", 2 * problem.size)
    monkeypatch.setattr(base, "CHUNK_NUMBERS", 100)
    monkeypatch.setattr(path, "_HELD_NUMBERS", 0)
    monkeypatch.setattr(table, "HELD_NUMBERS", 0)
    with expansion(problem, states, config, tmp_path, anchors) as about:
        parts = replay_orders(REPLAYS[method](about), problem, ORDERS, FOLLOWED, sketch)
    for name in ("value", "sketch", "trajectory"):
        assert np.array_equal(whole[name], parts[name]), f"batches or blocks change {name}"


def test_a_gradient_is_clipped_as_a_whole_whatever_the_blocks(tmp_path, monkeypatch):
    problem, _, _, states = prepare()
    config = optimizer_config(learning_rate=1e-3, gradient_clip=0.05)
    schedules = torch.from_numpy(np.stack([order.schedule for order in ORDERS]))
    with expansion(problem, states, config, tmp_path) as about:
        whole = Order0(about).replay(schedules, lambda t, parameters: None)
        monkeypatch.setattr(base, "CHUNK_NUMBERS", 100)
        parts = Order0(about).replay(schedules, lambda t, parameters: None)
    assert torch.equal(whole, parts), "a block is clipped by its own norm"


def test_without_followed_orders_the_trajectory_is_empty(tmp_path):
    problem, config, _, states = prepare()
    with expansion(problem, states, config, tmp_path) as about:
        estimated = replay_orders(FUT(about, 1.0), problem, ORDERS, [], SparseJL(problem.size, 64))
    assert estimated["trajectory"].shape == (0, 7, 64)
    assert torch.from_numpy(estimated["value"]).isfinite().all()

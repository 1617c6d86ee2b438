"""The true outcomes of orders, by real retraining with `torch.optim`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainorder.config.sections.optimizer import OptimizerConfig
from trainorder.errors import UserError
from trainorder.evaluation.finished_orders import FinishedOrders
from trainorder.evaluation.followed import Followed
from trainorder.evaluation.outcome_arrays import Arrays, joined_outcome
from trainorder.evaluation.readouts import evaluate_readout, readout_names, unit_losses
from trainorder.expansion.path import StoredPath
from trainorder.expansion.run_recorder import Recording, RunRecorder
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order import REFERENCE, Order
from trainorder.training.averaged_states import AveragedStates
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.optimizer import State
from trainorder.training.problem import LanguageProblem
from trainorder.training.trainer import diverged, train


@dataclass(frozen=True)
class TrainingSetup:
    """How every order is retrained.

    Attributes:
        start: the state before the window.
        config: the optimizer.
        horizon: steps that the learning-rate schedule spans, unless `config` sets it.
        readouts: steps after which the metrics are taken; the last one is the window's end.
        checkpoints: maps an order's place and a readout's number to the checkpoints of the training
            towards that readout.
        existing_run: the expansion path of an existing run; the order `reference` is read from it
            instead of retrained.
        recorder: records the training of some orders as known runs.
        averaged_states: number of last states whose mean is evaluated at each readout, too; None
            for none.
        finished: outcomes of orders that an earlier process finished; None keeps none. Those of
            recorded orders are not kept, since a recorded training is needed as a whole.

    """

    start: State
    config: OptimizerConfig
    horizon: int
    readouts: Sequence[int]
    checkpoints: Callable[[int, int], Checkpoints]
    existing_run: StoredPath | None = None
    recorder: RunRecorder | None = None
    averaged_states: int | None = None
    finished: FinishedOrders | None = None


def retrain_orders(
    problem: LanguageProblem,
    orders: Sequence[Order],
    setup: TrainingSetup,
    followed: Collection[str],
    sketch: SparseJL,
    units: Mapping[str, Sequence[int]],
    stepwise: bool = False,
) -> Arrays:
    """Return the arrays of an outcome file with the true outcomes of `orders`.

    Each order is trained with `torch.optim`. The order `reference` of an existing run is read from
    the run and evaluated.

    Args:
        problem: the learning problem.
        orders: to train on.
        setup: start, optimizer and readouts.
        followed: names of the orders whose parameters are sketched along the window.
        sketch: of parameters.
        units: by order name, the units whose final loss is recorded; other orders record none.
        stepwise: whether the metrics of followed orders are taken at every step, too.

    Raises:
        UserError: a loss is not finite; the message names the order and the step.

    """
    parts = []
    for place, order in enumerate(orders):
        along = Followed(problem, sketch, stepwise) if order.name in followed else None
        units_of_order = units.get(order.name, ())
        retrain = partial(_outcome, problem, order, place, setup, along, sketch, units_of_order)
        recorded = setup.recorder is not None and setup.recorder.records(order)
        finished = None if recorded else setup.finished
        parts.append(finished.outcome(place, retrain) if finished else retrain())
        for number in range(len(setup.readouts)):
            setup.checkpoints(place, number).clear()
    only_true = {
        name: np.concatenate([part[name] for part in parts])
        for name in ("along", "train_loss", "unit_loss")
    }
    metrics = readout_names(problem, setup.averaged_states is not None)
    return {**joined_outcome(metrics, orders, followed, parts), **only_true}


@dataclass(frozen=True)
class _Trained:
    """What training in one order gave; only the last parameters are kept.

    Attributes:
        values: the metrics (M,) after each readout.
        losses: the training loss of each step.
        records: of `Followed`, before each step and at the end; empty if not followed.
        parameters: (P,) at the end.

    """

    values: list[np.ndarray]
    losses: list[float]
    records: list[np.ndarray]
    parameters: Tensor


def _outcome(
    problem: LanguageProblem,
    order: Order,
    place: int,
    setup: TrainingSetup,
    followed: Followed | None,
    sketch: SparseJL,
    units: Sequence[int],
) -> Arrays:
    """Return the arrays of one order."""
    if setup.existing_run is not None and order.name == REFERENCE:
        trained = _read_existing(problem, order, setup, followed)
    else:
        trained = _retrained(problem, order, place, setup, followed)
        problem.meter.orders += 1
        sequences = order.schedule.size * problem.sequences
        problem.meter.add("gradients", sequences, span="training")
    return {
        "value": trained.values[-1][None],
        "along": np.stack(trained.values)[None],
        "train_loss": np.array(trained.losses)[None],
        "sketch": sketch(trained.parameters).numpy()[None],
        "unit_loss": unit_losses(problem, trained.parameters, units),
        **({"followed": np.stack(trained.records)[None]} if trained.records else {}),
    }


def _retrained(
    problem: LanguageProblem,
    order: Order,
    place: int,
    setup: TrainingSetup,
    followed: Followed | None,
) -> _Trained:
    """Train from readout to readout.

    If its job was killed, a recorded training starts again at its first step: it needs all of them.
    """
    recording = setup.recorder.recording(order) if setup.recorder else None
    values: list[np.ndarray] = []
    losses: list[float] = []
    records: list[np.ndarray] = []
    averages = AveragedStates(setup.readouts, setup.averaged_states)
    state, first = setup.start, 0
    for number, last in enumerate(setup.readouts):
        checkpoints = setup.checkpoints(place, number)
        if recording is not None:
            checkpoints.clear()
        segment = train(
            problem.model,
            state,
            partial(_batch, problem, order, recording, first),
            steps=last - first,
            config=setup.config,
            horizon=setup.horizon,
            checkpoints=checkpoints,
            label=f"order {order.name}",
            observe=followed,
            micro_batches=recording.micro_batches(first) if recording else None,
            averages=averages,
            before=first,
            loss_scale=problem.loss_scale,
        )
        problem.meter.seconds["training"] += segment.seconds
        if followed is not None:
            followed.count_resumed(segment.resumed_rows)
        with problem.meter.time("evaluation"):
            value = _evaluated(problem, segment.state.parameters, averages, last)
        if not np.isfinite(value).all():
            what = "the held-out loss after it is not finite"
            raise diverged(f"order {order.name}", last - 1, what, setup.config)
        values.append(value)
        losses += segment.losses
        # The first record of a segment is the last one of the segment before.
        records += segment.rows[1:] if number else segment.rows
        state, first = segment.state, last
    return _Trained(values, losses, records, state.parameters)


def _evaluated(
    problem: LanguageProblem, theta: Tensor, averages: AveragedStates, readout: int
) -> np.ndarray:
    """Return the metrics (M,) of the parameters (P,) at a readout and of the mean there, if any."""
    mean = averages.take(readout)
    values = evaluate_readout(problem, theta[None], None if mean is None else mean[None])
    return values.reshape(-1)


def _batch(
    problem: LanguageProblem, order: Order, recording: Recording | None, first: int, step: int
) -> Tensor:
    if recording is not None:
        return recording.batch(first + step)
    return problem.batch(order.schedule[first + step])


def _read_existing(
    problem: LanguageProblem, order: Order, setup: TrainingSetup, followed: Followed | None
) -> _Trained:
    """Evaluate the order that an existing run followed at the states of the run.

    This is outside the span `evaluation`, because costs are per retrained order.
    """
    run = setup.existing_run
    assert run is not None
    values: list[np.ndarray] = []
    losses: list[float] = []
    records: list[np.ndarray] = []
    averages = AveragedStates(setup.readouts, setup.averaged_states)
    for t in range(run.steps + 1):
        theta = run.parameters(t)
        averages.add(t, theta)
        if followed:
            records.append(followed(theta))
        numbers: list[float] = []
        if t in setup.readouts:
            values.append(_evaluated(problem, theta, averages, t))
            numbers += values[-1].tolist()
        if t < run.steps:
            with torch.no_grad():
                loss = float(problem.batch_loss(theta, order.schedule[t]))
            losses.append(loss / problem.loss_scale)
            numbers.append(losses[-1])
        if not np.isfinite(numbers).all():
            raise UserError(
                f"order {order.name}: step {t}: a loss of the existing run is not finite, so it "
                "diverged; set run.checkpoints to another run, or window.warmup_steps to an "
                "earlier part of this one"
            )
    return _Trained(values, losses, records, theta)

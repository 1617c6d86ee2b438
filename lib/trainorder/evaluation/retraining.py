"""What following an order truly gives, by training with torch.optim."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainorder.config.sections import OptimizerConfig
from trainorder.errors import UserError
from trainorder.evaluation.readouts import Arrays, joined_outcome, unit_losses
from trainorder.expansion.path import Centre
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order import REFERENCE, Order
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.optimizer import State
from trainorder.training.problem import LanguageProblem
from trainorder.training.trainer import Run, diverged, train


@dataclass(frozen=True)
class Training:
    """How every order is trained for real.

    Attributes:
        start: the state before the window.
        config: the optimizer.
        horizon: steps that the learning-rate schedule spans unless `config` says.
        readouts: updates after which the metrics are taken; the last is the window's end.
        checkpoints: of an order by its place, and the readout that is trained towards.
        run: the path of an existing run, which is read for the order `reference` instead.

    """

    start: State
    config: OptimizerConfig
    horizon: int
    readouts: Sequence[int]
    checkpoints: Callable[[int, int], Checkpoints]
    run: Centre | None = None


def retrain(
    problem: LanguageProblem,
    orders: Sequence[Order],
    training: Training,
    followed: Collection[str],
    sketch: SparseJL,
    about: Mapping[str, Sequence[int]],
) -> Arrays:
    """Return the true outcome of `orders`: each is trained with `torch.optim`.

    But for the order `reference` of an existing run: that is read, and only evaluated.

    Args:
        problem: the learning problem.
        orders: to train on.
        training: start and optimizer.
        followed: names of the orders whose parameters are sketched along the window.
        sketch: of parameters.
        about: the units whose loss is asked for, by order; none where an order is not named.

    Raises:
        UserError: a loss is not finite; the line names the order and the step.

    """
    parts = []
    for place, order in enumerate(orders):
        watch = order.name in followed
        units = about.get(order.name, ())
        if training.run is not None and order.name == REFERENCE:
            readouts = training.readouts
            parts.append(_read(problem, order, training.run, readouts, sketch, watch, units))
            continue
        parts.append(_retrained(problem, order, place, training, sketch, watch, units))
        problem.meter.add("orders")
        problem.meter.add("gradients", order.schedule.size)
    true = ("along", "train_loss", "unit_loss")
    more = {name: np.concatenate([part[name] for part in parts]) for name in true}
    return {**joined_outcome(problem, orders, followed, parts), **more}


def _retrained(
    problem: LanguageProblem,
    order: Order,
    place: int,
    training: Training,
    sketch: SparseJL,
    watch: bool,
    units: Sequence[int],
) -> Arrays:
    """Return what one order gives; of its states only the last is held."""
    values, losses, rows = [], [], []
    for run, value in _segments(problem, order, place, training, sketch if watch else None):
        values.append(value)
        losses.append(run.losses)
        rows.append(run.rows)
        end = run.state.parameters
    return {
        "value": values[-1][None],
        "along": np.stack(values)[None],
        "train_loss": np.concatenate(losses)[None],
        "sketch": sketch(end).numpy()[None],
        "trajectory": _joined_rows(rows) if watch else None,
        "unit_loss": unit_losses(problem, end, units),
    }


def _read(
    problem: LanguageProblem,
    order: Order,
    run: Centre,
    readouts: Sequence[int],
    sketch: SparseJL,
    watch: bool,
    units: Sequence[int],
) -> Arrays:
    """Return what the order gave that an existing run took, as `_retrained` does.

    It counts as no order, and its time as no evaluation: what an order costs is told by the others.
    """
    values, losses, rows = [], [], []
    for t in range(run.steps + 1):
        theta = run.parameters(t)
        if watch:
            rows.append(sketch(theta).numpy())
        if t in readouts:
            values.append(problem.evaluate(theta))
        if t < run.steps:
            with torch.no_grad():
                losses.append(float(problem.model.loss(theta, problem.batch(order.schedule[t]))))
            problem.meter.add("forwards", len(order.schedule[t]))
        if not np.isfinite([losses[-1], *(values[-1] if t in readouts else ())]).all():
            raise UserError(
                f"order {order.name}: step {t}: a loss of the run is not finite: it diverged; "
                "point run.checkpoints to another, or window.warmup_steps to an earlier part of it"
            )
    return {
        "value": values[-1][None],
        "along": np.stack(values)[None],
        "train_loss": np.array(losses)[None],
        "sketch": sketch(theta).numpy()[None],
        "trajectory": np.stack(rows)[None] if watch else None,
        "unit_loss": unit_losses(problem, theta, units),
    }


def _segments(
    problem: LanguageProblem, order: Order, place: int, training: Training, sketch: SparseJL | None
) -> Iterator[tuple[Run, np.ndarray]]:
    """Train from readout to readout; yield each run with the metrics (M,) after it."""
    state, first, config = training.start, 0, training.config
    for number, last in enumerate(training.readouts):
        run = train(
            problem.model,
            state,
            partial(_batch, problem, order, first),
            last - first,
            config,
            training.horizon,
            training.checkpoints(place, number),
            f"order {order.name}",
            observe=(lambda theta: sketch(theta).numpy()) if sketch else None,
        )
        problem.meter.seconds["training"] += run.seconds
        with problem.meter.time("evaluation"):
            value = problem.evaluate(run.state.parameters)
        if not np.isfinite(value).all():
            what = "the held-out loss after it is not finite"
            raise diverged(f"order {order.name}", last - 1, what, config)
        yield run, value
        state, first = run.state, last


def _joined_rows(parts: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Return the rows of all segments; the first of a segment is the last of the one before."""
    return np.stack([*parts[0], *(row for part in parts[1:] for row in part[1:])])[None]


def _batch(problem: LanguageProblem, order: Order, first: int, step: int) -> Tensor:
    return problem.batch(order.schedule[first + step])

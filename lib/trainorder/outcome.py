"""What following an order gives: by replay, or by training for real; in one shape for both.

An outcome file holds, for O orders, M metrics and sketches of k rows: `order` (O,) and `metric`
(M,) names, `value` (O, M) float64 in nats per token, `sketch` (O, k) of the final parameters,
`trajectory_order` (n,) names and `trajectory` (n, T+1, k) sketches of the parameters before each
step and at the end, for the orders that are followed. What was trained for real adds `train_loss`
(O, T), `along` (O, R, M), the metrics after each of R readouts, of which the last is the end, and
`unit_loss` (O, U), the final losses of the units that an order is about, NaN for all others.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.checkpoints import Checkpoints
from trainorder.config import OptimizerConfig
from trainorder.errors import UserError
from trainorder.estimators.base import Estimator
from trainorder.optimizer import State
from trainorder.orders import REFERENCE, Order
from trainorder.path import Centre
from trainorder.problem import LanguageProblem
from trainorder.sketch import SparseJL
from trainorder.training import Run, diverged, train

BATCH_NUMBERS = 2**25  # numbers in one (orders, P) tensor of a replay; bounds its memory

Arrays = dict[str, Any]


def replay(
    estimator: Estimator,
    problem: LanguageProblem,
    orders: Sequence[Order],
    followed: Collection[str],
    sketch: SparseJL,
) -> Arrays:
    """Return the outcome that `estimator` predicts for `orders`, replayed in batches."""
    size = max(1, BATCH_NUMBERS // problem.size)
    parts = [
        _replay_batch(estimator, problem, orders[start : start + size], followed, sketch)
        for start in range(0, len(orders), size)
    ]
    problem.meter.add("orders", len(orders))
    return _joined(problem, orders, followed, parts)


def _replay_batch(
    estimator: Estimator,
    problem: LanguageProblem,
    orders: Sequence[Order],
    followed: Collection[str],
    sketch: SparseJL,
) -> Arrays:
    watched = [i for i, order in enumerate(orders) if order.name in followed]
    rows: list[np.ndarray] = []

    def observe(t: int, parameters: Tensor) -> None:
        if watched:
            rows.append(torch.stack([sketch(parameters[i]) for i in watched]).numpy())

    schedules = torch.from_numpy(np.stack([order.schedule for order in orders]))
    with problem.meter.time("replay"):
        parameters = estimator.replay(schedules, observe)
    with problem.meter.time("evaluation"):
        values = _evaluate(problem, parameters)
    return {
        "value": values,
        "sketch": sketch(parameters).numpy(),
        "trajectory": np.stack(rows, axis=1) if watched else None,
    }


def along(
    estimator: Estimator, problem: LanguageProblem, schedules: Tensor, readouts: Sequence[int]
) -> np.ndarray:
    """Return the metrics (O, R, M) after each of `readouts`, as `estimator` replays `schedules`."""
    size = max(1, BATCH_NUMBERS // problem.size)
    parts = []
    for batch in schedules.split(size):
        seen: list[np.ndarray] = []

        def observe(t: int, parameters: Tensor, seen: list[np.ndarray] = seen) -> None:
            if t in readouts:
                seen.append(_evaluate(problem, parameters))

        estimator.replay(batch, observe)
        parts.append(np.stack(seen, axis=1))
    return np.concatenate(parts)


def with_units(
    estimator: Estimator, problem: LanguageProblem, schedules: Tensor, units: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss (O,) of a unit for each of `schedules`, and those of the domains (O, D)."""
    size = max(1, BATCH_NUMBERS // problem.size)
    own, heldout = [], []
    for batch, about in zip(
        schedules.split(size), np.split(units, range(size, len(units), size)), strict=True
    ):
        ends = estimator.replay(batch, lambda t, parameters: None)
        for theta, unit in zip(ends, about.tolist(), strict=True):
            own.append(_unit_losses(problem, theta, [unit])[0, unit])
            heldout.append(problem.evaluate(theta)[1:])
    return np.array(own), np.stack(heldout)


def _evaluate(problem: LanguageProblem, parameters: Tensor) -> np.ndarray:
    """Return the metrics (O, M); parameters that are all the same are evaluated once."""
    if parameters.stride(0) == 0:
        return np.tile(problem.evaluate(parameters[0]), (len(parameters), 1))
    return np.stack([problem.evaluate(row) for row in parameters])


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
    return {**_joined(problem, orders, followed, parts), **more}


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
        "unit_loss": _unit_losses(problem, end, units),
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
        "unit_loss": _unit_losses(problem, theta, units),
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


def _unit_losses(problem: LanguageProblem, theta: Tensor, units: Sequence[int]) -> np.ndarray:
    losses = np.full((1, problem.units), np.nan)
    with torch.no_grad():
        for unit in units:
            losses[0, unit] = float(problem.loss(theta, unit))
    return losses


def _batch(problem: LanguageProblem, order: Order, first: int, step: int) -> Tensor:
    return problem.batch(order.schedule[first + step])


def _joined(
    problem: LanguageProblem,
    orders: Sequence[Order],
    followed: Collection[str],
    parts: Sequence[Arrays],
) -> Arrays:
    width, steps = parts[0]["sketch"].shape[1], len(orders[0].schedule)
    empty = np.zeros((0, steps + 1, width), parts[0]["sketch"].dtype)
    paths = [part["trajectory"] for part in parts if part["trajectory"] is not None]
    return {
        "order": [order.name for order in orders],
        "metric": problem.metrics,
        "value": np.concatenate([part["value"] for part in parts]),
        "sketch": np.concatenate([part["sketch"] for part in parts]),
        "trajectory_order": [order.name for order in orders if order.name in followed],
        "trajectory": np.concatenate([empty, *paths]),
    }

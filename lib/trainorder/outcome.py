"""What following an order gives: by replay, or by training for real; in one shape for both.

An outcome file holds, for O orders, M metrics and sketches of k rows: `order` (O,) and `metric`
(M,) names, `value` (O, M) float64 in nats per token, `sketch` (O, k) of the final parameters,
`trajectory_order` (n,) names and `trajectory` (n, T+1, k) sketches of the parameters before each
step and at the end, for the orders that are followed.
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.checkpoints import Checkpoints
from trainorder.config import OptimizerConfig
from trainorder.estimators.base import Estimator
from trainorder.optimizer import State
from trainorder.orders import Order
from trainorder.problem import LanguageProblem
from trainorder.sketch import SparseJL
from trainorder.training import diverged, train

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
            rows.append(sketch(parameters[watched]).numpy())

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


def _evaluate(problem: LanguageProblem, parameters: Tensor) -> np.ndarray:
    """Return the metrics (O, M); parameters that are all the same are evaluated once."""
    if parameters.stride(0) == 0:
        return np.tile(problem.evaluate(parameters[0]), (len(parameters), 1))
    return np.stack([problem.evaluate(row) for row in parameters])


def retrain(
    problem: LanguageProblem,
    start: State,
    orders: Sequence[Order],
    config: OptimizerConfig,
    horizon: int,
    followed: Collection[str],
    sketch: SparseJL,
    checkpoints: Sequence[Checkpoints],
) -> Arrays:
    """Return the true outcome of `orders`: each is trained from `start` with `torch.optim`.

    Adds `train_loss` (O, T) in nats per token. `checkpoints` holds one folder for each order.

    Raises:
        UserError: a loss is not finite; the line names the order and the step.

    """
    parts, losses = [], []
    for order, saved in zip(orders, checkpoints, strict=True):
        watch = order.name in followed
        run = train(
            problem.model,
            start,
            partial(_batch, problem, order),
            len(order.schedule),
            config,
            horizon,
            saved,
            f"order {order.name}",
            observe=(lambda theta: sketch(theta).numpy()) if watch else None,
        )
        problem.meter.seconds["training"] += run.seconds
        with problem.meter.time("evaluation"):
            value = problem.evaluate(run.state.parameters)
        if not np.isfinite(value).all():
            last = len(order.schedule) - 1
            what = "the held-out loss after it is not finite"
            raise diverged(f"order {order.name}", last, what, config)
        parts.append(
            {
                "value": value[None],
                "sketch": sketch(run.state.parameters).numpy()[None],
                "trajectory": np.stack(run.rows)[None] if watch else None,
            }
        )
        losses.append(np.array(run.losses))
        problem.meter.add("orders")
        problem.meter.add("gradients", order.schedule.size)
    return {**_joined(problem, orders, followed, parts), "train_loss": np.stack(losses)}


def _batch(problem: LanguageProblem, order: Order, step: int) -> Tensor:
    return problem.batch(order.schedule[step])


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

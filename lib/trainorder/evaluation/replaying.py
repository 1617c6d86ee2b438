"""What an estimator predicts for orders, by replay."""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from trainorder.evaluation.readouts import Arrays, evaluate, joined_outcome, unit_losses
from trainorder.expansion.replay import Estimator
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order import Order
from trainorder.training.problem import LanguageProblem

BATCH_NUMBERS = 2**25  # numbers in one (orders, P) tensor of a replay; bounds its memory


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
    return joined_outcome(problem, orders, followed, parts)


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
        values = evaluate(problem, parameters)
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
                seen.append(evaluate(problem, parameters))

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
            own.append(unit_losses(problem, theta, [unit])[0, unit])
            heldout.append(problem.evaluate(theta)[1:])
    return np.array(own), np.stack(heldout)

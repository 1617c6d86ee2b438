"""The outcomes that an estimator predicts for orders, by replay."""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from trainorder.estimators.constant import Constant
from trainorder.evaluation.followed import Followed
from trainorder.evaluation.outcome_arrays import Arrays, joined_outcome
from trainorder.evaluation.readouts import evaluate_readout, readout_names, unit_losses
from trainorder.expansion.replay import Estimator
from trainorder.numerics.countsketch import SparseJL
from trainorder.orders.order import Order
from trainorder.training.averaged_states import AveragedStates
from trainorder.training.problem import LanguageProblem

BATCH_NUMBERS = 2**25  # numbers in one (orders, P) tensor of a replay; bounds its memory


def batch_size(parameters: int) -> int:
    """Return how many orders are replayed together at most, for a model of P `parameters`."""
    return max(1, BATCH_NUMBERS // parameters)


def replay_orders(
    estimator: Estimator,
    problem: LanguageProblem,
    orders: Sequence[Order],
    followed: Collection[str],
    sketch: SparseJL,
    averaged_states: int | None = None,
    stepwise: bool = False,
) -> Arrays:
    """Return the arrays of an outcome file that `estimator` predicts for `orders`.

    Args:
        estimator: replays schedules.
        problem: the learning problem.
        orders: to replay, in batches.
        followed: names of the orders whose parameters are sketched along the window.
        sketch: of parameters.
        averaged_states: number of last states whose mean is evaluated, too; None for none.
        stepwise: whether the metrics of followed orders are taken at every step, too.

    """
    along = Followed(problem, sketch, stepwise)
    # `constant` has one row of parameters, which all orders share.
    size = len(orders) if isinstance(estimator, Constant) else batch_size(problem.size)
    parts = [
        _replay_batch(estimator, orders[start : start + size], followed, along, averaged_states)
        for start in range(0, len(orders), size)
    ]
    problem.meter.orders += len(orders)
    metrics = readout_names(problem, averaged_states is not None)
    return joined_outcome(metrics, orders, followed, parts)


def _replay_batch(
    estimator: Estimator,
    orders: Sequence[Order],
    followed: Collection[str],
    along: Followed,
    averaged_states: int | None,
) -> Arrays:
    problem = along.problem
    followed_rows = [row for row, order in enumerate(orders) if order.name in followed]
    records: list[np.ndarray] = []
    schedules = torch.from_numpy(np.stack([order.schedule for order in orders]))
    steps = schedules.shape[1]
    averages = AveragedStates([steps], averaged_states)

    def observe(t: int, parameters: Tensor) -> None:
        averages.add(t, parameters)
        if followed_rows:
            records.append(along.of_rows(parameters, followed_rows))

    with problem.meter.time("replay"):
        parameters = estimator.replay(schedules, observe)
    with problem.meter.time("evaluation"):
        values = evaluate_readout(problem, parameters, averages.take(steps))
    return {
        "value": values,
        "sketch": _sketches(along.sketch, parameters),
        **({"followed": np.stack(records, axis=1)} if followed_rows else {}),
    }


def _sketches(sketch: SparseJL, parameters: Tensor) -> np.ndarray:
    """Return the sketches (O, k) of (O, P); of one row, if all rows are views of it (stride 0)."""
    if parameters.stride(0) == 0:
        return sketch(parameters[:1]).expand(len(parameters), -1).numpy()
    return sketch(parameters).numpy()


def replayed_readouts(
    estimator: Estimator,
    problem: LanguageProblem,
    schedules: Tensor,
    readouts: Sequence[int],
    averaged_states: int | None = None,
) -> np.ndarray:
    """Return the metrics (O, R, M) after each of R readouts, replayed along schedules (O, T, k).

    With `averaged_states`, the metrics of the mean of as many last states follow, as in
    `readout_names`.
    """
    parts = []
    for batch in schedules.split(batch_size(problem.size)):
        parts.append(_read_along(estimator, problem, batch, readouts, averaged_states))
    return np.concatenate(parts)


def _read_along(
    estimator: Estimator,
    problem: LanguageProblem,
    schedules: Tensor,
    readouts: Sequence[int],
    averaged_states: int | None,
) -> np.ndarray:
    values: list[np.ndarray] = []
    averages = AveragedStates(readouts, averaged_states)

    def observe(t: int, parameters: Tensor) -> None:
        averages.add(t, parameters)
        if t in readouts:
            values.append(evaluate_readout(problem, parameters, averages.take(t)))

    estimator.replay(schedules, observe)
    return np.stack(values, axis=1)


def replayed_unit_losses(
    estimator: Estimator, problem: LanguageProblem, schedules: Tensor, units: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the final loss of one unit for each schedule, and the losses of the domains.

    Args:
        estimator: replays schedules.
        problem: the learning problem.
        schedules: (O, T, k).
        units: (O,), the unit of each schedule.

    Returns:
        The unit losses (O,) and the held-out losses by domain (O, D), in nats per token.

    """
    size = batch_size(problem.size)
    own, heldout = [], []
    for batch, batch_units in zip(
        schedules.split(size), np.split(units, range(size, len(units), size)), strict=True
    ):
        ends = estimator.replay(batch, lambda t, parameters: None)
        for theta, unit in zip(ends, batch_units.tolist(), strict=True):
            own.append(unit_losses(problem, theta, [unit])[0, unit])
            heldout.append(problem.evaluate(theta)[1:])
    return np.array(own), np.stack(heldout)

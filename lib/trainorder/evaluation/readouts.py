"""What following an order gives: by replay, or by training for real; in one shape for both.

An outcome file holds, for O orders, M metrics and sketches of k rows: `order` (O,) and `metric`
(M,) names, `value` (O, M) float64 in nats per token, `sketch` (O, k) of the final parameters,
`trajectory_order` (n,) names and `trajectory` (n, T+1, k) sketches of the parameters before each
step and at the end, for the orders that are followed. What was trained for real adds `train_loss`
(O, T), `along` (O, R, M), the metrics after each of R readouts, of which the last is the end, and
`unit_loss` (O, U), the final losses of the units that an order is about, NaN for all others.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.orders.order import Order
from trainorder.training.problem import LanguageProblem

Arrays = dict[str, Any]


def evaluate(problem: LanguageProblem, parameters: Tensor) -> np.ndarray:
    """Return the metrics (O, M); parameters that are all the same are evaluated once."""
    if parameters.stride(0) == 0:
        return np.tile(problem.evaluate(parameters[0]), (len(parameters), 1))
    return np.stack([problem.evaluate(row) for row in parameters])


def unit_losses(problem: LanguageProblem, theta: Tensor, units: Sequence[int]) -> np.ndarray:
    """Return the losses (1, U) at `theta` (P,) of `units`; NaN for all other units."""
    losses = np.full((1, problem.units), np.nan)
    with torch.no_grad():
        for unit in units:
            losses[0, unit] = float(problem.loss(theta, unit))
    return losses


def joined_outcome(
    problem: LanguageProblem,
    orders: Sequence[Order],
    followed: Collection[str],
    parts: Sequence[Arrays],
) -> Arrays:
    """Return the arrays of an outcome file, joined from `parts`, one for each batch of orders."""
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

"""Puts metrics, sketches and trajectories into the arrays of an outcome file.

`outcomes` describes the arrays. This module does not import torch: the fitted baselines use it.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from trainorder.orders.order import Order

Arrays = dict[str, Any]


def joined_outcome(
    metrics: Sequence[str],
    orders: Sequence[Order],
    followed: Collection[str],
    parts: Sequence[Arrays],
) -> Arrays:
    """Return the arrays of an outcome file.

    Args:
        metrics: M names.
        orders: O orders.
        followed: names of the orders whose parameters are sketched along the window.
        parts: `value`, `sketch` and, if there are some, `followed` (the records of `Followed`
            (n, T+1, k + L)) of consecutive batches of `orders`.

    """
    width, steps = parts[0]["sketch"].shape[1], len(orders[0].schedule)
    records = [part["followed"] for part in parts if "followed" in part]
    along = np.concatenate(records) if records else np.zeros((0, steps + 1, width))
    return {
        "order": [order.name for order in orders],
        "metric": list(metrics),
        "value": np.concatenate([part["value"] for part in parts]),
        "sketch": np.concatenate([part["sketch"] for part in parts]),
        "trajectory_order": [order.name for order in orders if order.name in followed],
        "trajectory": along[..., :width].astype(parts[0]["sketch"].dtype),
        "stepwise": along[..., width:],
    }


def outcome_without_parameters(
    orders: Sequence[Order], metrics: Sequence[str], value: np.ndarray, sketch_rows: int
) -> Arrays:
    """Return the arrays of an outcome file for an estimator that estimates metrics only.

    Args:
        orders: O orders.
        metrics: M names.
        value: (O, M) in nats per token.
        sketch_rows: k, the rows of the other estimators' sketches.

    Returns:
        The arrays; `sketch` is NaN and no order is followed.

    """
    steps = len(orders[0].schedule)
    return {
        "order": [order.name for order in orders],
        "metric": list(metrics),
        "value": value,
        "sketch": np.full((len(orders), sketch_rows), np.nan, dtype=np.float32),
        "trajectory_order": [],
        "trajectory": np.zeros((0, steps + 1, sketch_rows), dtype=np.float32),
        "stepwise": np.zeros((0, steps + 1, 0)),
    }

"""What `ridge` and `proxy` share: the shape of their estimates.

They estimate metrics and no parameters, so that their sketches are not numbers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainorder.orders.order import Order

Floats = NDArray[np.float64]


def outcome(
    orders: Sequence[Order], metrics: Sequence[str], value: Floats, sketch_rows: int
) -> dict[str, Any]:
    """Return estimates without parameters in the shape of a replay's (see `evaluation.replaying`).

    Args:
        orders: O orders.
        metrics: M names.
        value: (O, M) in nats per token.
        sketch_rows: k, rows of the other estimators' sketches.

    Returns:
        The arrays of an estimate shard; `sketch` is NaN and no order is followed.

    """
    steps = len(orders[0].schedule)
    return {
        "order": [order.name for order in orders],
        "metric": list(metrics),
        "value": value,
        "sketch": np.full((len(orders), sketch_rows), np.nan, dtype=np.float32),
        "trajectory_order": [],
        "trajectory": np.zeros((0, steps + 1, sketch_rows), dtype=np.float32),
    }

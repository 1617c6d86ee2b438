"""The orders of a study that a search by steps uses, and how many retrainings they took."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.step_search import EvaluatedOrder
from trainorder.orders.order import FREE, HELD_BACK, REFERENCE, Order


class SearchStarts(NamedTuple):
    """Orders that were retrained before the search.

    Attributes:
        starts: the orders that it can move from.
        retrained: number of orders that it uses, without the reference: starts, and those whose
            recorded runs correct its estimates.

    """

    starts: list[EvaluatedOrder]
    retrained: int


def search_starts(
    orders: Mapping[str, Order],
    true: Mapping[str, float],
    constraints: Constraints,
    has_run: Callable[[np.ndarray], bool],
) -> SearchStarts:
    """Return the orders of a study that a search by steps uses.

    The run of an order that breaks the constraints may correct estimates, but no search starts from
    it. The random orders are no starts, because the search is compared with them. An order that
    repeats or omits units is none, because moves permute units.

    Args:
        orders: the orders of the study by name.
        true: true objective by order.
        constraints: every start meets them.
        has_run: whether the run on a schedule (T, k) is recorded.

    """
    starts, retrained = [], 0
    for order in orders.values():
        is_recorded = has_run(order.schedule)
        is_start = (
            order.split != HELD_BACK
            and order.kind != FREE
            and not constraints.violations(order.schedule[None])[0]
        )
        if is_start:
            starts.append(EvaluatedOrder(order.schedule, true[order.name], is_recorded))
        retrained += (is_start or is_recorded) and order.name != REFERENCE
    return SearchStarts(starts, retrained)

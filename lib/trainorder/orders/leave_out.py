"""Leave-out orders: the reference order without some units, as in studies of data attribution."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainorder.errors import UserError
from trainorder.orders.order import FREE, Order
from trainorder.orders.order_book import OrderBook
from trainorder.storage.formats import write_json


def without_units(
    schedule: np.ndarray, domains: Sequence[str], left_out: int, rng: np.random.Generator
) -> np.ndarray:
    """Return `schedule` (T, k) without `left_out` random units.

    A step keeps its number of units: in the place of each unit that is left out, a random unit of
    its domain is consumed once more, so that the effect is that of the unit and not of its domain.
    If no unit of the domain is left, it is a random one of all others.

    Args:
        schedule: (T, k) int64 unit indices.
        domains: the domain of each unit.
        left_out: the number of units, fewer than those of the schedule.
        rng: source of the random numbers.

    Examples:
        >>> schedule = np.array([[0], [1], [2], [3]])
        >>> domains = ["a", "b", "a", "b"]
        >>> without_units(schedule, domains, 1, np.random.default_rng(0)).ravel().tolist()
        [0, 1, 2, 1]

    """
    units = np.unique(schedule)
    omitted = rng.choice(units, left_out, replace=False)
    kept = np.setdiff1d(units, omitted)
    result = schedule.copy()
    for unit in omitted.tolist():
        alike = [other for other in kept.tolist() if domains[other] == domains[unit]]
        result[schedule == unit] = rng.choice(alike or kept)
    return result


def leave_out_orders(book: OrderBook, *, count: int, left_out: int, seed: int = 0) -> list[Order]:
    """Return `count` orders, `without-0`, `without-1` and so on, that leave random units out.

    Args:
        book: the orders of a study, with the reference order and the domains of the units.
        count: the number of orders.
        left_out: the number of units that each order omits.
        seed: of the random numbers.

    Raises:
        UserError: `left_out` is not between 1 and U - 1.

    """
    schedule = book.reference.schedule
    units = len(np.unique(schedule))
    if not 1 <= left_out < units:
        raise UserError(f"left_out: {left_out} of {units} units; expected 1 to {units - 1}")
    rng = np.random.default_rng(seed)
    return [
        Order(
            f"without-{number}",
            FREE,
            "custom",
            without_units(schedule, book.unit_domains, left_out, rng),
        )
        for number in range(count)
    ]


def write_leave_out(
    orders: str | Path, output: str | Path, *, count: int, left_out: int, seed: int = 0
) -> None:
    """Write the leave-out orders of a study to a file for `orders.custom` (`docs/orders`).

    Args:
        orders: `orders.json` of the study.
        output: the JSON file to write.
        count: the number of orders.
        left_out: the number of units that each order omits.
        seed: of the random numbers.

    Raises:
        UserError: `orders` is not readable, or `left_out` is not between 1 and U - 1.

    """
    made = leave_out_orders(OrderBook.load(orders), count=count, left_out=left_out, seed=seed)
    entries = [
        {"name": order.name, "kind": FREE, "schedule": order.schedule.tolist()} for order in made
    ]
    write_json(output, {"orders": entries})

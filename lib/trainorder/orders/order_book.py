"""The orders of a study, as its files hold them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainorder.errors import UserError
from trainorder.orders.order import FIT, Order
from trainorder.storage.formats import read_json


def load_orders(path: str | Path) -> list[Order]:
    """Return the orders of an `orders.json`, in its order.

    Raises:
        UserError: the file is missing, not JSON or not a list of orders.

    """
    try:
        return [
            Order(
                entry["name"], entry["kind"], entry["split"], np.array(entry["schedule"], np.int64)
            )
            for entry in read_json(path, "orders")["orders"]
        ]
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path}: not a list of orders; rerun rule `orders`") from None


def load_unit_domains(path: str | Path) -> list[str]:
    """Return the domain of each unit, or `mixed`, from an `orders.json`.

    Raises:
        UserError: the file is missing, not JSON or does not say.

    """
    try:
        return [str(domain) for domain in read_json(path, "orders")["unit_domains"]]
    except (KeyError, TypeError):
        raise UserError(f"{path}: has no `unit_domains`; rerun rule `orders`") from None


def load_units(path: str | Path) -> dict[str, list[int]]:
    """Return, of the orders of an orders file that are about certain units, those units, by name.

    Raises:
        UserError: the file is missing or not JSON.

    """
    records = read_json(path, "orders")["orders"]
    return {entry["name"]: entry["units"] for entry in records if "units" in entry}


def followed(orders: Sequence[Order], count: int) -> list[str]:
    """Return the names of the orders whose error is followed step by step.

    Half of them random and half structured, the first of each that every estimator runs on.
    """
    random = [order.name for order in orders if order.split == "random"]
    structured = [order.name for order in orders if order.split == "structured"]
    half = min(count // 2, len(structured))
    return random[: count - half] + structured[:half]


def bounded(orders: Sequence[Order], bounds: dict[str, int]) -> list[Order]:
    """Return the first orders of each split, as many as `bounds` says (all where it is silent).

    Never those of split `fit`: an estimator would be judged on what it may have been fitted on.
    """
    taken: dict[str, int] = {}
    chosen = []
    for order in orders:
        taken[order.split] = taken.get(order.split, 0) + 1
        if order.split != FIT and taken[order.split] <= bounds.get(order.split, len(orders)):
            chosen.append(order)
    return chosen


def fit_orders(orders: Sequence[Order]) -> list[Order]:
    """Return the orders that baselines are fitted on."""
    return [order for order in orders if order.split == FIT]


def to_retrain(orders: Sequence[Order], bounds: dict[str, int] | None) -> list[Order]:
    """Return the orders that a model is retrained on.

    All of them; with `bounds` those that a baseline is fitted on, and those that it estimates.
    """
    if bounds is None:
        return list(orders)
    return fit_orders(orders) + bounded(orders, bounds)

"""A user's own orders, from JSON or CSV."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.config.checks import UNPRINTABLE
from trainorder.config.sections import WindowConfig
from trainorder.errors import UserError
from trainorder.orders.csv_files import csv_entries
from trainorder.orders.order import FREE, Order
from trainorder.storage.formats import read_json

_KEYS = {"name", "schedule", "kind"}  # of an order in a user's file
# The study's own names, whatever their number: a file that is good today is so with more of them.
_OWN_NAMES = re.compile(
    r"reference|(calibration|random|fit|block)-\d+|reversed|domain-sorted(-reversed)?|interleaved"
    r"|easy-to-hard|hard-to-easy"
)
_NO_UNITS = "`schedule` is not a list of unit indices (whole numbers)"


def read_orders(path: str | Path, window: WindowConfig) -> list[Order]:
    """Read a user's orders from JSON, or from CSV if the file is called so.

    JSON holds one object, or `{"orders": [...]}`; each object has a `name`, a `schedule` (a
    flat list of unit indices, or a list of steps), and may say `"kind": "free"` to repeat or leave
    out units on purpose. `orders_csv` says what CSV holds.

    Raises:
        UserError: the file or one of its orders is not valid, or has a name that another order of
            the file has or that the study gives; the line names the order.

    """
    orders = _read(path, window)
    _check_names(orders, path)
    return orders


def read_order(path: str | Path) -> Order:
    """Read the only order of a file, without a check that it fits a window.

    Raises:
        UserError: the file is not readable, does not hold one order, or its name is one that the
            study gives.

    """
    entries = _entries(path)
    if len(entries) != 1:
        raise UserError(f"{path}: holds {len(entries)} orders; expected one")
    order = _parsed(path, 0, entries[0])
    _check_names([order], path)
    return order


def _read(path: str | Path, window: WindowConfig) -> list[Order]:
    """Return the orders of a file under any names."""
    table = Path(path).suffix.lower() == ".csv"
    entries = csv_entries(path) if table else _entries(path)
    parsed = [_parsed(path, i, entry) for i, entry in enumerate(entries)]
    return [_fitted(f"{path}: order {order.name!r}", order, window) for order in parsed]


def read_reference(path: str | Path, window: WindowConfig) -> np.ndarray:
    """Return the schedule (T, k) of the only order of a file, that in which an existing run went.

    Its name does not matter.

    Raises:
        UserError: the file is not valid, holds more than one order, or one that is no permutation.

    """
    orders = _read(path, window)
    if len(orders) != 1:
        raise UserError(f"{path}: holds {len(orders)} orders; the run has one")
    if orders[0].kind == FREE:
        raise UserError(
            f"{path}: order {orders[0].name!r}: is {FREE}; that of a run must visit each unit of "
            "the window once an epoch"
        )
    return orders[0].schedule


def check_order(order: Order, window: WindowConfig) -> Order:
    """Return `order` with its schedule as steps of the window, int64.

    Raises:
        UserError: it is no order, does not fill the window, or is no permutation and not meant to
            be `free`.

    """
    if not isinstance(order, Order):
        raise UserError(f"{order!r} is not an order; one of the study's is study.orders[NAME]")
    return _fitted(f"order {order.name!r}", order, window)


def _entries(path: str | Path) -> list[Any]:
    """Return what stands in a file for each order: one object, a list, or a list in `orders`."""
    content = read_json(path)
    if isinstance(content, dict) and content.keys() & _KEYS and "orders" not in content:
        return [content]
    if isinstance(content, dict):
        if extra := sorted(content.keys() - {"orders"}):
            raise UserError(
                f"{path}: unknown key {extra[0]!r}; known are `orders`, a list, or of a single "
                "order `name`, `schedule` and `kind`"
            )
        content = content.get("orders")
    if not isinstance(content, list) or not content:
        raise UserError(f"{path}: holds no orders; expected one object or a list under `orders`")
    return content


def _parsed(path: str | Path, index: int, entry: Any) -> Order:
    """Return the order with its schedule as it is written."""
    keys = entry if isinstance(entry, dict) else {}
    name, kind = keys.get("name"), keys.get("kind", "permutation")
    called = name if isinstance(name, str) and name else index
    where = f"{path}: order {called!r}"
    if extra := sorted(keys.keys() - _KEYS):
        raise UserError(
            f"{where}: unknown key {extra[0]!r}; an order has `name`, `schedule` and `kind`"
        )
    if not {"name", "schedule"} <= keys.keys():
        raise UserError(f"{where}: needs the keys `name` and `schedule`")
    if not isinstance(called, str):
        raise UserError(f"{where}: `name` is empty, or is not a text")
    if odd := re.search(f"[{UNPRINTABLE}]", called):
        raise UserError(f"{where}: `name` holds {odd[0]!r}, which cannot be printed; rename it")
    if kind not in ("permutation", FREE):
        raise UserError(f"{where}: `kind` is {kind!r}; it is permutation (or left out) or {FREE}")
    try:
        values = np.array(keys["schedule"])
    except ValueError:
        raise UserError(f"{where}: steps of different lengths") from None
    if any(isinstance(value, bool) for value in np.array(keys["schedule"], object).flat):
        raise UserError(f"{where}: {_NO_UNITS}")  # among numbers, numpy takes true for 1
    return Order(called, kind, "custom", values)


def _fitted(where: str, order: Order, window: WindowConfig) -> Order:
    values = np.asarray(order.schedule)
    if values.size == 0 or not np.issubdtype(values.dtype, np.integer):
        raise UserError(f"{where}: {_NO_UNITS}")
    places = window.steps * window.units_per_step
    if values.shape not in ((places,), (window.steps, window.units_per_step)):
        shape = " x ".join(map(str, values.shape))
        raise UserError(
            f"{where}: {shape} places, but the window has {window.steps} steps of "
            f"{window.units_per_step} units ({places})"
        )
    visits = values.reshape(-1).astype(np.int64)
    unknown = visits[(visits < 0) | (visits >= window.units)]
    if unknown.size:
        raise UserError(
            f"{where}: unit {unknown[0]} does not exist; units are 0..{window.units - 1}"
        )
    if order.kind != FREE:
        _check_permutation(where, visits, window)
    return replace(order, schedule=visits.reshape(window.steps, window.units_per_step))


def _check_permutation(where: str, visits: np.ndarray, window: WindowConfig) -> None:
    counts = np.bincount(visits, minlength=window.units)
    wrong = np.flatnonzero(counts != window.epochs)
    if wrong.size:
        raise UserError(
            f"{where}: not a permutation: unit {wrong[0]} comes {counts[wrong[0]]} times, not "
            f"{window.epochs}; mend it, or make its `kind` {FREE} if that is meant"
        )


def _check_names(orders: Sequence[Order], path: str | Path) -> None:
    """Raise `UserError` if a name repeats or belongs to an order that the study generates."""
    seen: set[str] = set()
    for order in orders:
        where = f"{path}: order {order.name!r}: the name is taken"
        if _OWN_NAMES.fullmatch(order.name):
            raise UserError(f"{where} by an order of the study; rename it")
        if order.name in seen:
            raise UserError(f"{where} by another order of the file; rename it")
        seen.add(order.name)

"""Reads and checks a user's own orders: JSON, YAML, CSV or arrays."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.config.loading import yaml_content
from trainorder.config.sections.window import WindowConfig
from trainorder.config.types import UNPRINTABLE
from trainorder.errors import UserError
from trainorder.orders.csv_files import csv_entries
from trainorder.orders.number_lists import (
    ARRAY_SUFFIXES,
    array_entries,
    list_of_numbers,
    number_entries,
)
from trainorder.orders.order import FREE, Order
from trainorder.storage.formats import read_json

_TABLES, _YAML, _JSON = (".csv", ".tsv", ".txt"), (".yaml", ".yml"), ".json"
_KINDS = (_JSON, *_YAML, *_TABLES, *ARRAY_SUFFIXES)
_KEYS = {"name", "schedule", "kind"}  # of an order in a user's file
# All names that a study can give, with any number: a valid file stays valid in a larger study.
_RESERVED_NAMES = re.compile(
    r"reference|(calibration|random|fit|block)-\d+|reversed|domain-sorted(-reversed)?|interleaved"
    r"|easy-to-hard|hard-to-easy"
)
_NOT_INTEGERS = "`schedule` is not a list of unit indices; expected whole numbers"


def read_orders(path: str | Path, window: WindowConfig) -> list[Order]:
    """Return a user's orders from a file; the ending of its name tells the format.

    JSON and YAML hold one object, a list of objects, or `{"orders": [...]}`. Each object has a
    `name` and a `schedule` (a flat list of unit indices, or a list of steps). `"kind": "free"`
    allows a schedule to repeat or omit units. `orders.csv_files` describes the CSV format, and
    `orders.number_lists` files of plain numbers.

    Args:
        path: the file: `.json`, `.yaml`, `.yml`, `.csv`, `.tsv`, `.txt`, `.npy` or `.npz`.
        window: the window that each schedule must fill.

    Raises:
        UserError: the file or one of its orders is not valid, or a name is a duplicate or reserved
            for the study. The message names the order.

    """
    orders = _read(path, window)
    _check_names(orders, path)
    return orders


def read_order(path: str | Path) -> Order:
    """Return the only order of a file; its schedule is not compared with a window.

    Raises:
        UserError: the file is not readable, holds more than one order, or uses a reserved name.

    """
    entries = _entries(path, None)
    if len(entries) != 1:
        raise UserError(f"{path}: {len(entries)} orders; expected one")
    order = _parsed(path, 0, entries[0])
    _check_names([order], path)
    return order


def read_reference(path: str | Path | None, window: WindowConfig) -> np.ndarray:
    """Return the schedule (T, k) that an existing run used: the only order of a file, of any name.

    Without a file, the units are numbered in the order in which the run consumed them.

    Raises:
        UserError: the file is not valid, holds more than one order, or its order is not a
            permutation.

    """
    if not path:
        numbers = np.tile(np.arange(window.units, dtype=np.int64), window.epochs)
        return numbers.reshape(window.steps, window.units_per_step)
    orders = _read(path, window)
    if len(orders) != 1:
        raise UserError(f"{path}: {len(orders)} orders; expected the one order of the run")
    if orders[0].kind == FREE:
        raise UserError(
            f"{path}: order {orders[0].name!r}: `kind` is {FREE}; the order of a run must visit "
            "each unit of the window once an epoch"
        )
    return orders[0].schedule


def check_order(order: Order, window: WindowConfig) -> Order:
    """Return `order` with its schedule as steps of the window, int64.

    Raises:
        UserError: `order` is not an `Order`, does not fill the window, or is not a permutation and
            not of kind `free`.

    """
    if not isinstance(order, Order):
        raise UserError(f"{order!r} is not an order; use study.orders[NAME] or Order.from_json")
    return _fitted(f"order {order.name!r}", order, window)


def _read(path: str | Path, window: WindowConfig) -> list[Order]:
    """Return the orders of a file, with any names."""
    parsed = [_parsed(path, i, entry) for i, entry in enumerate(_entries(path, window))]
    return [_fitted(f"{path}: order {order.name!r}", order, window) for order in parsed]


def _entries(path: str | Path, window: WindowConfig | None) -> list[Any]:
    """Return the entry of each order of a file."""
    suffix = Path(path).suffix.lower()
    if suffix not in _KINDS:
        raise UserError(
            f"{path}: the ending of its name tells no kind of orders; expected {', '.join(_KINDS)}"
        )
    if suffix in _TABLES:
        return csv_entries(path, window)
    if suffix in ARRAY_SUFFIXES:
        return array_entries(path, window)
    content = read_json(path) if suffix == _JSON else _yaml(path)
    try:
        numbers = list_of_numbers(content)
    except ValueError:
        raise UserError(f"{path}: its rows have different lengths; make them equal") from None
    if numbers is not None:
        return number_entries(Path(path).stem, numbers, window)
    return _objects(path, content)


def _yaml(path: str | Path) -> Any:
    try:
        return yaml_content(Path(path).read_bytes(), path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def _objects(path: str | Path, content: Any) -> list[Any]:
    """Return the entry of each order in the objects of a JSON or YAML file."""
    if isinstance(content, dict) and content.keys() & _KEYS and "orders" not in content:
        return [content]
    if isinstance(content, dict):
        if extra := sorted(map(str, content.keys() - {"orders"})):
            raise UserError(
                f"{path}: unknown key {extra[0]!r}; expected `orders` with a list of orders, or "
                "`name`, `schedule` and `kind` of a single order"
            )
        content = content.get("orders")
    if not isinstance(content, list) or not content:
        raise UserError(f"{path}: no orders; expected one object or a list under `orders`")
    return content


def _parsed(path: str | Path, index: int, entry: Any) -> Order:
    """Return the order with its schedule as the file has it."""
    fields = entry if isinstance(entry, dict) else {}
    name, kind = fields.get("name"), fields.get("kind", "permutation")
    label = name if isinstance(name, str) and name else index
    where = f"{path}: order {label!r}"
    if extra := sorted(map(str, fields.keys() - _KEYS)):
        raise UserError(
            f"{where}: unknown key {extra[0]!r}; an order has `name`, `schedule` and `kind`"
        )
    if not {"name", "schedule"} <= fields.keys():
        raise UserError(f"{where}: needs the keys `name` and `schedule`")
    if not isinstance(label, str):
        raise UserError(f"{where}: `name` is empty or not a string")
    if unprintable := re.search(f"[{UNPRINTABLE}]", label):
        raise UserError(
            f"{where}: `name` contains {unprintable[0]!r}, which cannot be printed; rename it"
        )
    if kind not in ("permutation", FREE):
        raise UserError(
            f"{where}: `kind` is {kind!r}; expected permutation (the default) or {FREE}"
        )
    return Order(label, kind, "custom", _schedule(where, fields["schedule"]))


def _schedule(where: str, schedule: Any) -> np.ndarray:
    if isinstance(schedule, np.ndarray):
        return schedule
    try:
        values = np.array(schedule)
    except ValueError:
        raise UserError(
            f"{where}: the steps of `schedule` have different lengths; make them equal"
        ) from None
    # numpy turns true into 1 in an array of numbers.
    if any(isinstance(value, bool) for value in np.array(schedule, object).flat):
        raise UserError(f"{where}: {_NOT_INTEGERS}")
    return values


def _fitted(where: str, order: Order, window: WindowConfig) -> Order:
    values = np.asarray(order.schedule)
    if values.size == 0 or not np.issubdtype(values.dtype, np.integer):
        raise UserError(f"{where}: {_NOT_INTEGERS}")
    places = window.steps * window.units_per_step
    if values.shape not in ((places,), (window.steps, window.units_per_step)):
        shape = " x ".join(map(str, values.shape))
        raise UserError(
            f"{where}: {shape} places, but the window has {window.steps} steps of "
            f"{window.units_per_step} units ({places} places); list one unit for each place"
        )
    visits = values.reshape(-1).astype(np.int64)
    unknown = visits[(visits < 0) | (visits >= window.units)]
    if unknown.size:
        raise UserError(
            f"{where}: unit {unknown[0]} does not exist; expected units 0..{window.units - 1}, "
            "which the window numbers from 0"
        )
    if order.kind != FREE:
        _check_permutation(where, visits, window)
    return replace(order, schedule=visits.reshape(window.steps, window.units_per_step))


def _check_permutation(where: str, visits: np.ndarray, window: WindowConfig) -> None:
    counts = np.bincount(visits, minlength=window.units)
    wrong = np.flatnonzero(counts != window.epochs)
    if wrong.size:
        raise UserError(
            f"{where}: not a permutation: unit {wrong[0]} occurs {counts[wrong[0]]} times, "
            f"expected {window.epochs}; correct `schedule`, or set `kind` to {FREE}"
        )


def _check_names(orders: Sequence[Order], path: str | Path) -> None:
    """Raise `UserError` for a duplicate name, or one that is reserved for the study's orders."""
    names: set[str] = set()
    for order in orders:
        where = f"{path}: order {order.name!r}"
        if _RESERVED_NAMES.fullmatch(order.name):
            raise UserError(f"{where}: the name is reserved for an order of the study; rename it")
        if order.name in names:
            raise UserError(f"{where}: duplicate name; rename one of the orders")
        names.add(order.name)

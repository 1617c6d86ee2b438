"""Schedules, named orders, and how far one order is from another.

A schedule is an int array `(steps, units_per_step)` of unit indices. A permutation (each unit once
an epoch) is the plain case; repeats and missing units are allowed where an order says `free`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.config import UNPRINTABLE, OrdersConfig, WindowConfig
from trainorder.errors import UserError
from trainorder.files import read_json
from trainorder.orders_csv import csv_entries

FREE = "free"  # the kind of a custom order that repeats or leaves out units on purpose
REFERENCE = "reference"  # the order, and the split that it is alone in
FIT = "fit"  # the split of the random orders that baselines are fitted on; nothing is scored on it
_KEYS = {"name", "schedule", "kind"}  # of an order in a user's file
# The study's own names, whatever their number: a file that is good today is so with more of them.
_OWN_NAMES = re.compile(
    r"reference|(calibration|random|fit|block)-\d+|reversed|domain-sorted(-reversed)?|interleaved"
    r"|easy-to-hard|hard-to-easy"
)
_NO_UNITS = "`schedule` is not a list of unit indices (whole numbers)"
_REFERENCE_STREAM, _CALIBRATION_STREAM, _RANDOM_STREAM, _BLOCK_STREAM, _FIT_STREAM = range(5)


@dataclass(frozen=True)
class Order:
    """A named schedule.

    Attributes:
        name: unique in a study.
        kind: how it was made (`random`, `reversed`, ...); of a user's own `permutation` or `free`.
        split: `reference`, `calibration`, `random`, `fit`, `structured` or `custom`.
        schedule: `(steps, units_per_step)` int64, unit indices.

    """

    name: str
    kind: str
    split: str
    schedule: np.ndarray

    @classmethod
    def from_json(cls, path: str | Path) -> "Order":
        """Read the only order of a user's file, as `read_orders` describes it.

        Whether it fits a window is checked where it is used.

        Raises:
            UserError: the file is not readable, does not hold one order, or its name is one that
                the study gives.

        """
        entries = _entries(path)
        if len(entries) != 1:
            raise UserError(f"{path}: holds {len(entries)} orders; expected one")
        order = _parsed(path, 0, entries[0])
        _check_names([order], path)
        return order

    def as_dict(self, reference: "Order") -> dict[str, Any]:
        """Return the order as it stands in `orders.json`."""
        return {
            "name": self.name,
            "kind": self.kind,
            "split": self.split,
            "kendall": kendall_distance(self.schedule, reference.schedule),
            "schedule": self.schedule.tolist(),
        }


def kendall_distance(schedule: np.ndarray, other: np.ndarray) -> float:
    """Return the share of pairs of units that two schedules put in opposite order.

    Both are `(steps, units_per_step)`. The n-th visit of a unit in one is matched with its n-th
    visit in the other; visits without a match do not count. Units of the same step have no order
    among them, so a pair counts only where both schedules separate it.
    0 is the same order, 1 the reverse (Kendall 1938, without ties).
    """
    mine, theirs = _visits(schedule), _visits(other)
    common = sorted(mine.keys() & theirs.keys())
    a = np.array([mine[visit] for visit in common])
    b = np.array([theirs[visit] for visit in common])
    upper = np.triu_indices(len(common), 1)
    product = np.sign(a[:, None] - a)[upper] * np.sign(b[:, None] - b)[upper]
    separated = np.count_nonzero(product)
    return float(np.count_nonzero(product < 0) / separated) if separated else 0.0


def _visits(schedule: np.ndarray) -> dict[tuple[int, int], int]:
    """Map (unit, n) to the step of the unit's n-th visit."""
    seen: dict[int, int] = {}
    steps: dict[tuple[int, int], int] = {}
    for step, row in enumerate(schedule.tolist()):
        for unit in row:
            seen[unit] = seen.get(unit, -1) + 1
            steps[unit, seen[unit]] = step
    return steps


def study_orders(
    config: OrdersConfig,
    window: WindowConfig,
    seed: int,
    unit_domains: Sequence[str],
    unit_losses: np.ndarray,
    reference: np.ndarray | None = None,
) -> list[Order]:
    """Return every order of a study, the reference first.

    Args:
        config: how many of each kind.
        window: shape of the schedules.
        seed: `seeds.order`.
        unit_domains: domain of each of the U units.
        unit_losses: (U,) loss of each unit under the warm model, for the orders by difficulty.
        reference: the schedule of the reference; None draws one.

    Raises:
        UserError: a custom order is not valid.

    """
    make = _Maker(window, seed)
    flat = make.shuffled(_REFERENCE_STREAM, 0) if reference is None else reference.reshape(-1)
    orders = [make.order("reference", "reference", "reference", flat)]
    for i in range(config.calibration):
        visits = make.shuffled(_CALIBRATION_STREAM, i)
        orders.append(make.order(f"calibration-{i:04d}", "random", "calibration", visits))
    for i in range(config.random):
        visits = make.shuffled(_RANDOM_STREAM, i)
        orders.append(make.order(f"random-{i:04d}", "random", "random", visits))
    for i in range(config.fit):
        orders.append(make.order(f"fit-{i:04d}", "random", FIT, make.shuffled(_FIT_STREAM, i)))
    for kind, visits in _structured(flat, unit_domains, unit_losses).items():
        orders.append(make.order(kind, kind, "structured", visits))
    for size in config.block_sizes:
        visits = make.block_shuffled(flat, size)
        orders.append(make.order(f"block-{size}", "block-shuffled", "structured", visits))
    if config.custom is not None:
        orders.extend(read_orders(config.custom, window))
    return orders


def _structured(
    flat: np.ndarray, unit_domains: Sequence[str], unit_losses: np.ndarray
) -> dict[str, np.ndarray]:
    names = sorted(set(unit_domains))
    label = np.array([names.index(domain) for domain in unit_domains])[flat]
    by_domain = flat[np.argsort(label, kind="stable")]
    easy_first = flat[np.argsort(unit_losses[flat], kind="stable")]
    # the n-th visit to a domain comes in round n
    turn = np.array([np.count_nonzero(label[:i] == label[i]) for i in range(len(flat))])
    return {
        "reversed": flat[::-1],
        "domain-sorted": by_domain,
        "domain-sorted-reversed": flat[np.argsort(-label, kind="stable")],
        "interleaved": flat[np.lexsort((label, turn))],
        "easy-to-hard": easy_first,
        "hard-to-easy": easy_first[::-1],
    }


@dataclass(frozen=True)
class _Maker:
    window: WindowConfig
    seed: int

    def shuffled(self, stream: int, index: int) -> np.ndarray:
        """Return the visits of a random order: each epoch a permutation of its own."""
        rng = np.random.default_rng([self.seed, stream, index])
        epochs = [rng.permutation(self.window.units) for _ in range(self.window.epochs)]
        return np.concatenate(epochs)

    def block_shuffled(self, flat: np.ndarray, size: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, _BLOCK_STREAM, size])
        blocks = [rng.permutation(flat[i : i + size]) for i in range(0, len(flat), size)]
        return np.concatenate(blocks)

    def order(self, name: str, kind: str, split: str, visits: np.ndarray) -> Order:
        return Order(name, kind, split, visits.reshape(self.window.steps, -1).astype(np.int64))


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
    seen: set[str] = set()
    for order in orders:
        where = f"{path}: order {order.name!r}: the name is taken"
        if _OWN_NAMES.fullmatch(order.name):
            raise UserError(f"{where} by an order of the study; rename it")
        if order.name in seen:
            raise UserError(f"{where} by another order of the file; rename it")
        seen.add(order.name)


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

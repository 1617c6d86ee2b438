"""The orders of a study: random, structured and block-shuffled ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainorder.config.sections.orders import OrdersConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.orders.order import CALIBRATION, FIT, HELD_BACK, REFERENCE, Order
from trainorder.orders.order_book import OrderBook
from trainorder.orders.user_files import read_orders

_REFERENCE_STREAM, _CALIBRATION_STREAM, _RANDOM_STREAM = range(3)
_BLOCK_STREAM, _FIT_STREAM, _FURTHER_STREAM = range(3, 6)


def study_orders(
    config: OrdersConfig,
    window: WindowConfig,
    seed: int,
    unit_domains: Sequence[str],
    unit_losses: np.ndarray,
    reference: np.ndarray | None = None,
) -> OrderBook:
    """Return every order of a study, the reference first.

    Args:
        config: the number of orders of each kind.
        window: the shape of the schedules.
        seed: `seeds.order`.
        unit_domains: domain of each of the U units.
        unit_losses: (U,) loss of each unit before the window, for the orders by difficulty.
        reference: (T, k) schedule of the reference order; None draws one.

    Raises:
        UserError: a custom order is not valid.

    """
    draw = _Draw(window, seed)
    flat = (reference_schedule(window, seed) if reference is None else reference).reshape(-1)
    orders = [draw.order(REFERENCE, kind=REFERENCE, split=REFERENCE, visits=flat)]
    for split, count, stream in (
        (CALIBRATION, config.calibration, _CALIBRATION_STREAM),
        (HELD_BACK, config.random, _RANDOM_STREAM),
        (FIT, config.fit, _FIT_STREAM),
    ):
        for i in range(count):
            visits = draw.shuffled(stream, i)
            orders.append(draw.order(f"{split}-{i:04d}", kind="random", split=split, visits=visits))
    for kind, visits in _structured(flat, unit_domains, unit_losses).items():
        orders.append(draw.order(kind, kind=kind, split="structured", visits=visits))
    for size in config.block_sizes:
        visits = draw.block_shuffled(flat, size)
        name = f"block-{size}"
        orders.append(draw.order(name, kind="block-shuffled", split="structured", visits=visits))
    if config.custom is not None:
        orders.extend(read_orders(config.custom, window))
    return OrderBook(orders, unit_domains=unit_domains)


def reference_schedule(window: WindowConfig, seed: int) -> np.ndarray:
    """Return the random schedule (T, k) of the reference order; `seed` is `seeds.order`."""
    return _Draw(window, seed).shuffled(_REFERENCE_STREAM, 0).reshape(window.steps, -1)


def further_schedules(window: WindowConfig, seed: int, count: int) -> list[np.ndarray]:
    """Return `count` random schedules (T, k) that are no orders of the study.

    `seed` is `seeds.order`.
    """
    draw = _Draw(window, seed)
    return [
        draw.shuffled(_FURTHER_STREAM, i).reshape(window.steps, -1).astype(np.int64)
        for i in range(count)
    ]


def _structured(
    flat: np.ndarray, unit_domains: Sequence[str], unit_losses: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the visits (V,) of each structured order, by kind; `flat` is the reference's."""
    names = sorted(set(unit_domains))
    label = np.array([names.index(domain) for domain in unit_domains])[flat]
    by_domain = flat[np.argsort(label, kind="stable")]
    easy_first = flat[np.argsort(unit_losses[flat], kind="stable")]
    # the n-th visit of a domain happens in round n
    round_of_visit = np.array([np.count_nonzero(label[:i] == label[i]) for i in range(len(flat))])
    return {
        "reversed": flat[::-1],
        "domain-sorted": by_domain,
        "domain-sorted-reversed": flat[np.argsort(-label, kind="stable")],
        "interleaved": flat[np.lexsort((label, round_of_visit))],
        "easy-to-hard": easy_first,
        "hard-to-easy": easy_first[::-1],
    }


@dataclass(frozen=True)
class _Draw:
    """Draws visits; each order has a random stream of its own, so more orders change no other."""

    window: WindowConfig
    seed: int

    def shuffled(self, stream: int, index: int) -> np.ndarray:
        """Return the visits (V,) of a random order: each epoch is a new permutation."""
        rng = np.random.default_rng([self.seed, stream, index])
        epochs = [rng.permutation(self.window.units) for _ in range(self.window.epochs)]
        return np.concatenate(epochs)

    def block_shuffled(self, flat: np.ndarray, size: int) -> np.ndarray:
        """Return the visits (V,) `flat`, shuffled within blocks of `size` visits."""
        rng = np.random.default_rng([self.seed, _BLOCK_STREAM, size])
        blocks = [rng.permutation(flat[i : i + size]) for i in range(0, len(flat), size)]
        return np.concatenate(blocks)

    def order(self, name: str, *, kind: str, split: str, visits: np.ndarray) -> Order:
        """Return the order of `visits` (V,), cut into the steps of the window."""
        return Order(name, kind, split, visits.reshape(self.window.steps, -1).astype(np.int64))

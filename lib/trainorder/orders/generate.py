"""The orders of a study: random, structured and block-shuffled ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainorder.config.sections import OrdersConfig, WindowConfig
from trainorder.orders.order import FIT, Order
from trainorder.orders.user_files import read_orders

_REFERENCE_STREAM, _CALIBRATION_STREAM, _RANDOM_STREAM, _BLOCK_STREAM, _FIT_STREAM = range(5)


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

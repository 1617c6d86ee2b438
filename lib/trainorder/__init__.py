"""Estimate how a language model would differ if it had seen the same data in another order.

Examples:
    >>> from trainorder import Order, Study
    >>> study = Study.open("results/default")  # doctest: +SKIP
    >>> study.estimate(Order.from_json("my-order.json")).values  # doctest: +SKIP

"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

__all__ = ["Order", "Study"]

# Imported on first use: `Study` imports torch, and the code hash of a job covers what it imports.
_MODULES = {"Order": "trainorder.orders.order", "Study": "trainorder.study"}


def __getattr__(name: str) -> Any:
    """Return `Study` or `Order`."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)

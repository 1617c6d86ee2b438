"""What would a language model have become, had it seen the same data in another order?"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Imported when they are asked for: the figures do without torch, and no step rests on all modules.
_OFFERED = {"Study": "trainorder.study", "Order": "trainorder.orders.user_files"}


def __getattr__(name: str) -> Any:
    """Return `Study` or `Order`."""
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_OFFERED[name]), name)

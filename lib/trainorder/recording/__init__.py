"""Record a training run while it trains, and read the record.

Examples:
    >>> from trainorder.recording import Recorder
    >>> with Recorder("record", model, optimizer) as record:  # doctest: +SKIP
    ...     for tokens in batches:
    ...         record.batch(tokens)

"""

from importlib import import_module
from typing import Any

__all__ = ["Recorder", "RecordingCallback", "write_heldout"]

# Imported on first use: torch and transformers take seconds, and readers do not need them.
_MODULES = {
    "Recorder": "trainorder.recording.recorder",
    "RecordingCallback": "trainorder.recording.trainer_callback",
    "write_heldout": "trainorder.recording.record.heldout",
}


def __getattr__(name: str) -> Any:
    """Return a public class or function."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)

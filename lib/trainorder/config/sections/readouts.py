"""How often along the window losses are read, and how many sets of metrics they give."""

from collections.abc import Mapping
from typing import Any


def readout_count(curriculum: Mapping[str, Any] | None) -> int:
    """Return how many times along the window losses are read: once at its end without a search."""
    return int(curriculum["readouts"]) if curriculum else 1


def metric_sets(averaged_states: int | None) -> int:
    """Return how many sets of metrics a readout has: 2 with averaged weights, else 1."""
    return 1 if averaged_states is None else 2

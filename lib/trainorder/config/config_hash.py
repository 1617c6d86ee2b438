"""The hash of the configuration that a measured table or page was made with."""

from collections.abc import Mapping
from typing import Any

from trainorder.storage.provenance import digest

NUMERICAL_SECTIONS = (  # they decide the numbers of a study; all others only its name and speed
    *("seeds", "corpus", "model", "run", "optimizer", "window", "orders", "expansion", "curvature"),
    *("estimators", "trajectories", "sketch_rows", "validation", "curriculum", "memorization"),
)


def config_hash(*configs: Mapping[str, Any]) -> str:
    """Return one hash of the sections that decide numbers, of one or more whole configurations."""
    return digest([{name: config.get(name) for name in NUMERICAL_SECTIONS} for config in configs])


def config_text(*configs: Mapping[str, Any]) -> str:
    """Return the words that name the configuration in a page: "configuration `...`"."""
    return f"configuration `{config_hash(*configs)}`"

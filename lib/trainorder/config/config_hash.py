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
    return digest([_numerical(config) for config in configs])


def _numerical(config: Mapping[str, Any]) -> dict[str, Any]:
    sections = {name: config.get(name) for name in NUMERICAL_SECTIONS}
    # An option of a later version counts only where it is set, so that older hashes stay valid.
    averaged = config.get("averaged_states")
    return sections if averaged is None else sections | {"averaged_states": averaged}


def config_text(*configs: Mapping[str, Any]) -> str:
    """Return the words that name the configuration in a page: "configuration `...`"."""
    return f"configuration `{config_hash(*configs)}`"

"""The hash of the configuration that a measured table or page was made with."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainorder.config.later_keys import as_before
from trainorder.config.methods import METHODS
from trainorder.config.sections.curvature import CurvatureConfig
from trainorder.config.sections.ladder import LadderConfig
from trainorder.storage.provenance import digest

NUMERICAL_SECTIONS = (  # they decide the numbers of a study; all others only its name and speed
    *("seeds", "corpus", "model", "run", "optimizer", "window", "orders", "expansion", "curvature"),
    *("estimators", "trajectories", "sketch_rows", "validation", "curriculum", "memorization"),
)

_LADDER = {key: getattr(LadderConfig(), key) for key in ("per_order", "relative_error")}
_FORMER = {"rank": 96, "anchors": 1}  # stood for `auto`, where no estimator reads the curvature


def config_hash(*configs: Mapping[str, Any]) -> str:
    """Return one hash of the sections that decide numbers, of one or more whole configurations."""
    return digest([_numerical(config) for config in configs])


def _numerical(config: Mapping[str, Any]) -> dict[str, Any]:
    sections: dict[str, Any] = {
        name: as_before(name, config.get(name)) for name in NUMERICAL_SECTIONS
    }
    for name in _unread(config.get("estimators") or ()):
        del sections[name]
    for name in ("averaged_states", "multiple_choice"):
        if config.get(name) is not None:
            sections[name] = config[name]
    if config.get("stepwise_losses"):
        sections["stepwise_losses"] = True
    ladder = {**_LADDER, **(config.get("ladder") or {})}
    if changed := {key: ladder[key] for key, value in _LADDER.items() if ladder[key] != value}:
        sections["ladder"] = changed
    if "pool" in (sections.get("curvature") or {}):
        sections["curvature"] = _one_pool(sections["curvature"], sections.get("expansion") or {})
    curvature = sections.get("curvature") or {}
    if curvature.get("rank") == "auto":
        if any(METHODS[entry["method"]].uses_curvature for entry in config["estimators"]):
            sections["precompute"] = float(ladder["precompute"])
        else:
            sections["curvature"] = {
                key: _FORMER.get(key, value) for key, value in curvature.items() if key != "pool"
            }
    return sections


def _one_pool(curvature: Mapping[str, Any], expansion: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section `curvature` as it was when `expansion.pool` was that of both sections."""
    config = CurvatureConfig(**curvature)
    result = {**curvature}
    if "anchors" in curvature and not config.anchors_are_open:
        result["anchors"] = config.first_anchors
    if not config.pool_is_open and config.first_pool == expansion.get("pool"):
        del result["pool"]
    return result


def _unread(estimators: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the sections that no estimator reads, if there are any estimators."""
    methods = [METHODS[entry["method"]] for entry in estimators]
    if not methods or any(method.uses_table for method in methods):
        return []
    barycentre = any(entry.get("path") == "barycentre" for entry in estimators)
    return ["curvature"] if barycentre else ["curvature", "expansion"]


def config_text(*configs: Mapping[str, Any]) -> str:
    """Return the words that name the configuration in a page: "configuration `...`"."""
    return f"configuration `{config_hash(*configs)}`"

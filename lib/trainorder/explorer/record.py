"""What the explorer page shows, as data: orders, truth, recalibration, constraints and maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainorder.config.estimator_names import SCREENING
from trainorder.config.sections.curriculum import CurriculumConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.data.metrics import is_loss
from trainorder.evaluation.results import Results
from trainorder.explorer.domain_marks import domain_marks
from trainorder.explorer.packing import packed
from trainorder.memorization.maps import QUANTITIES
from trainorder.orders.order import REFERENCE

ESTIMATOR = SCREENING
_SHOWN = ("reference", "structured", "custom", "random", "calibration")  # splits, as in the menu
_MAPS = ("insertion", "presence")
_MAP_BITS = 10  # the bars of a map have fewer pixels


def page_record(
    model: Mapping[str, Any],
    results: Results,
    unit_domains: Sequence[str],
    searched: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the data of the page.

    Args:
        model: the record of the compact model.
        results: the study's results; its maps are shown if it has them.
        unit_domains: the domain of each of the U units.
        searched: further retrained orders by name, with their `schedule`, `kind` and `truth`.

    """
    score = results.score(ESTIMATOR)
    orders = menu(list(results.orders.values()), searched)
    reference = results.orders[REFERENCE]["schedule"]
    config = results.validation["provenance"]["config"]
    losses = list(filter(is_loss, score["recalibration"]))  # the model estimates nothing else
    own = {name: order["truth"] for name, order in orders.items() if "truth" in order}
    truth = {**results.truth, **own}
    return {
        "model": model,
        "unitDomains": list(unit_domains),
        "domains": domain_marks(unit_domains),
        "unitsPerStep": len(reference[0]),
        "orders": {name: _flat(order["schedule"]) for name, order in orders.items()},
        "groups": {name: order["group"] for name, order in orders.items()},
        "random": [name for name, order in results.orders.items() if order["kind"] == "random"],
        "truth": {name: _chosen(values, losses) for name, values in truth.items()},
        "reference": REFERENCE,
        "referenceEstimates": _chosen(results.estimates[ESTIMATOR][REFERENCE], losses),
        "recalibration": _chosen(score["recalibration"], losses),
        "range": _chosen(score["calibrated_range"], losses),
        "objective": _objective(config, model["readouts"]),
        "rules": _rules(config, unit_domains, reference),
        "maps": _packed_maps(results.maps),
    }


def _chosen(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: values[name] for name in names}


def menu(
    orders: Sequence[Mapping[str, Any]], searched: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the orders in the menu by name, each with its `schedule` and `group`.

    A searched order that was added to the study as a custom order is in both. The plain name then
    means the study's order, because the page shows its truth.
    """
    shown = sorted(
        (order for order in orders if order["split"] in _SHOWN),
        key=lambda order: _SHOWN.index(order["split"]),
    )
    own = {order["name"]: {**order, "group": order["split"]} for order in shown}
    more = {
        f"{name} (searched)" if name in own else name: {**order, "group": order["kind"]}
        for name, order in searched.items()
    }
    first = {REFERENCE: own.pop(REFERENCE)} if REFERENCE in own else {}
    return first | more | own


def _flat(schedule: Sequence[Sequence[int]]) -> list[int]:
    return [unit for step in schedule for unit in step]


def _objective(config: Mapping[str, Any], readouts: Sequence[float]) -> dict[str, Any]:
    """Return what the search lowers: `weights` by metric, and the `places` of its readouts."""
    curriculum = config.get("curriculum")
    if not curriculum:
        return {"weights": {"heldout": 1.0}, "places": [len(readouts) - 1]}
    search = CurriculumConfig(**curriculum)
    steps = WindowConfig(**config["window"]).readouts(search.readouts)
    return {"weights": search.weights, "places": [list(readouts).index(step) for step in steps]}


def _rules(
    config: Mapping[str, Any], unit_domains: Sequence[str], reference: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """Return the constraints of the search; see `explorer/constraints.js`."""
    curriculum = config.get("curriculum") or {}
    return {
        "reference": _flat(reference),
        "domains": list(unit_domains),
        "pinned": curriculum.get("pinned", []),
        "quotas": [{"least": 0, "most": None, **quota} for quota in curriculum.get("quotas", [])],
        "furthest": curriculum.get("furthest"),
    }


def _packed_maps(maps: Mapping[str, np.ndarray] | None) -> dict[str, Any] | None:
    """Return the estimated maps (U, T) by quantity and map; None if the study has none."""
    if maps is None:
        return None
    return {
        quantity: {
            way: packed(np.nan_to_num(maps[f"estimated_{quantity}_{way}"]), 1, _MAP_BITS)
            for way in _MAPS
        }
        for quantity in QUANTITIES
    }

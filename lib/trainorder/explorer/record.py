"""What the explorer page shows, as data: orders, truth, recalibration, constraints and maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainorder.config.estimator_names import SCREENING
from trainorder.config.sections.curriculum import CurriculumConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.data.metrics import MAIN_METRIC, is_loss
from trainorder.evaluation.interval_coverage import judged_coverage, orders_inside
from trainorder.evaluation.results import Results
from trainorder.explorer.domain_marks import domain_marks
from trainorder.explorer.metric_names import shown_metric
from trainorder.explorer.packing import packed
from trainorder.memorization.maps import QUANTITIES
from trainorder.orders.order import CALIBRATION, HELD_BACK, REFERENCE
from trainorder.orders.order_descriptions import order_description

ESTIMATOR = SCREENING
_SHOWN = ("reference", "structured", "custom", HELD_BACK, CALIBRATION)  # splits, as in the menu
_DOTS = (HELD_BACK, CALIBRATION)  # splits of random orders, which the plots show as dots
_COVERED = (HELD_BACK, "structured")  # splits whose intervals were compared with the truth
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
    truth = {name: results.truth[name] for name in orders if name in results.truth} | own
    random = [name for name, order in orders.items() if order["group"] in _DOTS and name in truth]
    return {
        "model": model,
        "unitDomains": list(unit_domains),
        "domains": domain_marks(unit_domains),
        "unitsPerStep": len(reference[0]),
        "orders": {name: _flat(order["schedule"]) for name, order in orders.items()},
        "groups": {name: order["group"] for name, order in orders.items()},
        "descriptions": {name: order_description(name) for name in orders},
        "random": random,
        "drawn": [*random, *([] if config.get("run") else [REFERENCE])],
        "truth": {name: _chosen(values, losses) for name, values in truth.items()},
        "reference": REFERENCE,
        "referenceEstimates": _chosen(results.estimates[ESTIMATOR][REFERENCE], losses),
        "recalibration": _chosen(score["recalibration"], losses),
        "range": _chosen(score["calibrated_range"], losses),
        "names": {metric: shown_metric(metric) for metric in losses},
        "spread": {metric: _spread(results.validation["spread"][metric]) for metric in losses},
        "probability": config["validation"]["coverage"],
        "coverage": {
            metric: _covered(score["coverage"][metric], config["validation"]["coverage"])
            for metric in losses
        },
        "objective": _objective(results, model["readouts"]),
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


def _objective(results: Results, readouts: Sequence[float]) -> dict[str, Any]:
    """Return what the search lowers.

    `weights` by metric, the `places` of its readouts, and its `spread` at the end of the window.
    """
    config = results.validation["provenance"]["config"]
    curriculum = config.get("curriculum")
    weights, places = {MAIN_METRIC: 1.0}, [len(readouts) - 1]
    if curriculum:
        search = CurriculumConfig(**curriculum)
        steps = WindowConfig(**config["window"]).readouts(search.readouts)
        weights, places = search.weights, [list(readouts).index(step) for step in steps]
    return {"weights": weights, "places": places, "spread": _weighted_spread(results, weights)}


def _spread(by_split: Mapping[str, Any]) -> dict[str, float] | None:
    """Return the mean and the standard deviation of the true metric of held-back random orders.

    None if the study has too few of them.
    """
    random = by_split.get(HELD_BACK)
    if random is None or not random["std"]:
        return None
    return {"mean": random["mean"], "std": random["std"]}


def _weighted_spread(results: Results, weights: Mapping[str, float]) -> dict[str, float] | None:
    """Return the same of a weighted sum of metrics."""
    if list(weights.values()) == [1.0]:
        return _spread(results.validation["spread"][next(iter(weights))])
    values = [
        sum(weight * results.truth[name][metric] for metric, weight in weights.items())
        for name, order in results.orders.items()
        if order["split"] == HELD_BACK
    ]
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    return _spread({HELD_BACK: {"mean": np.mean(values), "std": np.std(values, ddof=1)}})


def _covered(by_split: Mapping[str, Any], aimed: float) -> dict[str, Any]:
    """Return by split how many true values are `inside` their intervals, of `n` orders.

    `judged` says whether this shows that the intervals are too narrow or too wide. None for a
    split without intervals.
    """
    return {
        split: None
        if split not in by_split or by_split[split]["value"] is None
        else {
            "inside": orders_inside(by_split[split]),
            "n": by_split[split]["n"],
            "judged": judged_coverage(by_split[split], aimed),
        }
        for split in _COVERED
    }


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

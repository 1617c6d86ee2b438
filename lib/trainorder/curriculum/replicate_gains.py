"""Gains of the same search in several studies, with an interval over the studies."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainorder.config.sections.curriculum import GLOBAL, CurriculumConfig
from trainorder.curriculum.candidates_file import FIELD
from trainorder.curriculum.fresh_gains import shortfall
from trainorder.numerics.resampling import student_mean

_BUDGET = CurriculumConfig.retrainings  # the default
GAINS = ("random_mean", "same_compute", "field")


def group_name(config: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    """Return the name of a group of studies: schedule, and what differs from `base` beside it.

    Args:
        config: configuration of the study.
        base: configuration of the study that it replicates.

    """
    name, rate = str(config["optimizer"]["schedule"]), config["optimizer"]["learning_rate"]
    if rate != base["optimizer"]["learning_rate"]:
        name += f", rate {rate:g}"
    method, usual = (_search(one, "method", GLOBAL) for one in (config, base))
    if method != usual:
        name += f", search: {method}"
    budget, usual = (_search(one, "retrainings", _BUDGET) for one in (config, base))
    return name if budget == usual else f"{name}, budget {budget:g}"


def _search(config: Mapping[str, Any], key: str, default: Any) -> Any:
    """Return a key of the section `curriculum`, which configurations of older versions lack."""
    return config.get("curriculum", {}).get(key, default)


def places_by_group(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """Return the places of the studies of each group; the first one is that which is replicated."""
    groups: dict[str, list[int]] = {}
    for place, config in enumerate(configs):
        groups.setdefault(group_name(config, configs[0]), []).append(place)
    return groups


def collect(
    curricula: Sequence[Mapping[str, Any]],
    memorization: Sequence[Mapping[str, Any]],
    confidence: float,
) -> dict[str, Any]:
    """Return gains, half-lives and agreement by group; the studies of a group differ in seeds only.

    Args:
        curricula: contents of each study's `curriculum.json`; first the study that is replicated.
        memorization: contents of `memorization.json` of the same studies, or empty.
        confidence: probability that Student's intervals over studies aim at, in (0, 1).

    """
    return {
        name: {
            "studies": [one["study"] for one in own],
            "verdicts": [one["verdicts"] for one in own],
            "methods": [one.get("method", GLOBAL) for one in own],
            "gains": {gain: _gain(own, gain, confidence) for gain in GAINS},
            "compute": [one["compute"]["total_retrainings"] for one in own],
            "fresh": _fresh(own, confidence),
            "fresh_shortfalls": _shortfalls(own),
            "orders": _orders(own),
            "half_lives": _half_lives(maps),
            "agreement": _agreement(maps),
        }
        for name, places in places_by_group([c["provenance"]["config"] for c in curricula]).items()
        for own in [[curricula[place] for place in places]]
        for maps in [[memorization[place] for place in places] if memorization else []]
    }


def _half_lives(maps: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Return the half-life in each study, by domain; None if a study has no such units."""
    domains = dict.fromkeys(name for one in maps for name in one["forgetting"])
    return {name: [_life(one["forgetting"].get(name)) for one in maps] for name in domains}


def _life(curve: Mapping[str, Any] | None) -> float | None:
    return curve["half_life"]["value"] if curve else None


def _agreement(maps: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Return the correlation of estimated and retrained presence in each study, by quantity."""
    quantities = maps[0]["agreement"] if maps else []
    return {
        quantity: [one["agreement"][quantity]["presence"]["value"] for one in maps]
        for quantity in quantities
    }


def _fresh(curricula: Sequence[Mapping[str, Any]], confidence: float) -> dict[str, Any]:
    """Return the gains in fresh retrainings, by what is fresh in them; none without any.

    A study counts once: with the mean over its retrainings from other initial weights.
    """
    kinds: dict[str, list[dict[str, Any]]] = {}
    for curriculum in curricula:
        init = curriculum["provenance"]["config"]["seeds"]["init"]
        draws: dict[str, list[Mapping[str, Any]]] = {}
        for draw in curriculum.get("fresh", ()):
            draws.setdefault("text" if draw["init"] == init else "weights", []).append(draw)
        for kind, own in draws.items():
            kinds.setdefault(kind, []).append({"gains": _mean_gains(own)})
    return {
        kind: {gain: _gain(studies, gain, confidence) for gain in ("random_mean", "same_compute")}
        for kind, studies in kinds.items()
    }


def _shortfalls(curricula: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each study with fewer fresh random orders than its compute retrains."""
    lines = []
    for curriculum in curricula:
        draws = [draw["compute"] for draw in curriculum.get("fresh", ()) if "compute" in draw]
        if draws and (line := shortfall(draws[0])):  # all draws of a study have the same numbers
            lines.append(f"{curriculum['study']}: {line}")
    return lines


def _mean_gains(draws: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    return {
        gain: {
            unit: float(np.mean([draw["gains"][gain][unit] for draw in draws]))
            for unit in ("value", "in_spreads")
        }
        for gain in ("random_mean", "same_compute")
    }


def _orders(curricula: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return how far each heuristic order is below the mean random order in each study, in spreads.

    The key `winner` has the winner of each search.
    """
    shares: dict[str, list[float]] = {}
    for curriculum in curricula:
        random = curriculum["random"]
        for order in curriculum["orders"]:
            name = "winner" if order["name"] == curriculum["winner"] else order["name"]
            if order["true"] is not None and (name == "winner" or order["kind"] == FIELD):
                share = (random["mean"] - order["true"]) / random["std"]
                shares.setdefault(name, []).append(share)
    return {name: values for name, values in shares.items() if len(values) == len(curricula)}


def _gain(curricula: Sequence[Mapping[str, Any]], gain: str, confidence: float) -> dict[str, Any]:
    values = [one["gains"][gain]["value"] for one in curricula]
    shares = [one["gains"][gain]["in_spreads"] for one in curricula]
    return {
        "values": values,
        "in_spreads": shares,
        **student_mean(values, confidence)._asdict(),
    }

"""The same search in several studies: what is gained, with an interval over them."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainorder.numerics.resampling import student_mean

GAINS = ("random_mean", "same_compute", "field")


def group_name(config: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    """Return what a study's training is, other than its seeds: schedule, and rate if not `base`'s.

    Args:
        config: the configuration of the study.
        base: that of the study which it replicates.

    """
    mine, usual = config["optimizer"], base["optimizer"]
    rate = "" if mine["learning_rate"] == usual["learning_rate"] else mine["learning_rate"]
    return f"{mine['schedule']}, rate {rate:g}" if rate else str(mine["schedule"])


def collect(
    curricula: Sequence[Mapping[str, Any]],
    memorization: Sequence[Mapping[str, Any]],
    confidence: float,
) -> dict[str, Any]:
    """Return gains, half-lives and agreement of studies that differ in seeds alone, by group.

    Args:
        curricula: contents of `curriculum.json`, the study that is replicated first.
        memorization: contents of `memorization.json` of the same studies, or nothing.
        confidence: of the intervals (Student's, over studies).

    """
    base = curricula[0]["provenance"]["config"]
    groups: dict[str, dict[str, Any]] = {}
    for place, curriculum in enumerate(curricula):
        name = group_name(curriculum["provenance"]["config"], base)
        group = groups.setdefault(name, {"curricula": [], "maps": []})
        group["curricula"].append(curriculum)
        if memorization:
            group["maps"].append(memorization[place])
    return {
        name: {
            "studies": [one["study"] for one in group["curricula"]],
            "verdicts": [one["verdicts"] for one in group["curricula"]],
            "gains": {gain: _gain(group["curricula"], gain, confidence) for gain in GAINS},
            "half_lives": _half_lives(group["maps"]),
            "agreement": _agreement(group["maps"]),
        }
        for name, group in groups.items()
    }


def _half_lives(maps: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Return the half-life in each study, by domain; None where it has no such units."""
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


def _gain(curricula: Sequence[Mapping[str, Any]], gain: str, confidence: float) -> dict[str, Any]:
    values = [one["gains"][gain]["value"] for one in curricula]
    shares = [one["gains"][gain]["in_spreads"] for one in curricula]
    return {
        "values": values,
        "in_spreads": shares,
        **student_mean(values, confidence)._asdict(),
    }

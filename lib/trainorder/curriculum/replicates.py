"""The same search in several studies: what is gained, with an interval over them."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainorder.statistics import student_mean

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
    """Return gains and half-lives of studies that differ in seeds alone, group by group.

    Args:
        curricula: contents of `curriculum.json`, the study that is replicated first.
        memorization: contents of `memorization.json` of the same studies, or nothing.
        confidence: of the intervals (Student's, over studies).

    """
    base = curricula[0]["provenance"]["config"]
    groups: dict[str, dict[str, Any]] = {}
    for place, curriculum in enumerate(curricula):
        name = group_name(curriculum["provenance"]["config"], base)
        group = groups.setdefault(name, {"studies": [], "curricula": [], "lives": []})
        group["studies"].append(curriculum["study"])
        group["curricula"].append(curriculum)
        if memorization:
            group["lives"].append(memorization[place]["forgetting"]["all"]["half_life"]["value"])
    return {
        name: {
            "studies": group["studies"],
            "verdicts": [one["verdicts"] for one in group["curricula"]],
            "gains": {gain: _gain(group["curricula"], gain, confidence) for gain in GAINS},
            "half_lives": group["lives"],
        }
        for name, group in groups.items()
    }


def _gain(curricula: Sequence[Mapping[str, Any]], gain: str, confidence: float) -> dict[str, Any]:
    values = [one["gains"][gain]["value"] for one in curricula]
    shares = [one["gains"][gain]["in_spreads"] for one in curricula]
    return {
        "values": values,
        "in_spreads": shares,
        **student_mean(values, confidence)._asdict(),
    }

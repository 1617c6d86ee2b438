"""The configuration of a replicate: the same search with other seeds, schedule or learning rate."""

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from trainorder.config.sections.curriculum import GLOBAL
from trainorder.config.sections.estimator import (
    EstimatorConfig,
    is_step_estimator,
    search_estimators,
)
from trainorder.errors import UserError

_MOST_CELLS = 12  # retrained in a replicate's maps: enough to notice a wrong map


def replicates(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the configurations of the studies that `curriculum.replicates` describes.

    Raises:
        UserError: two entries describe the same study.

    """
    curriculum = config["curriculum"]
    studies = [replicate(config, entry) for entry in (curriculum or {}).get("replicates", ())]
    for name, count in Counter(study["study"] for study in studies).items():
        if count > 1:
            raise UserError(
                f"curriculum.replicates: {count} entries describe the study {name}; list each once"
            )
    return studies


def replicate(config: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of the study that an entry of `curriculum.replicates` describes.

    It keeps only the estimators that the search needs, and retrains at most 12 positions of units.
    """
    changed = deepcopy(dict(config))
    changed["seeds"] = dict.fromkeys(changed["seeds"], entry["seed"])
    optimizer = changed["optimizer"]
    for name in ("schedule", "learning_rate"):
        optimizer[name] = entry.get(name) or optimizer[name]
    kind = f"{optimizer['schedule']}-rate{optimizer['learning_rate']:g}"
    changed["study"] = f"{config['study']}-seed{entry['seed']}-{kind}"
    for name in ("method", "retrainings"):
        changed["curriculum"][name] = entry.get(name) or changed["curriculum"][name]
    if entry.get("method"):
        changed["study"] += f"-{entry['method']}"
    if entry.get("retrainings"):
        changed["study"] += f"-retrainings{entry['retrainings']:g}"
    changed["curriculum"]["replicates"] = []
    if changed["memorization"]:
        retrained = changed["memorization"]["retrained"]
        changed["memorization"]["retrained"] = min(retrained, _MOST_CELLS)
    estimators = [EstimatorConfig(**estimator) for estimator in changed["estimators"]]
    kept = {"constant@reference", *search_estimators(estimators)}
    if changed["curriculum"]["method"] != GLOBAL:
        kept |= {estimator.name for estimator in estimators if is_step_estimator(estimator)}
    changed["estimators"] = [
        entry
        for entry, estimator in zip(changed["estimators"], estimators, strict=True)
        if estimator.name in kept
    ]
    return changed

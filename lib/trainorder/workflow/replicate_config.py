"""The configuration of a replicate: the same search with other seeds, schedule or learning rate."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from trainorder.config.estimator_names import SEARCH_ESTIMATORS
from trainorder.config.sections import EstimatorConfig

_ESTIMATORS = ("constant@reference", *SEARCH_ESTIMATORS)
_MOST_CELLS = 12  # retrained in a replicate's maps: enough to notice a wrong map


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
    changed["curriculum"]["replicates"] = []
    if changed["memorization"]:
        retrained = changed["memorization"]["retrained"]
        changed["memorization"]["retrained"] = min(retrained, _MOST_CELLS)
    changed["estimators"] = [
        estimator
        for estimator in changed["estimators"]
        if EstimatorConfig(**estimator).name in _ESTIMATORS
    ]
    return changed

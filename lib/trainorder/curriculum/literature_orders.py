"""Further heuristic orders of the literature, in families that a study turns on."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainorder.curriculum.domain_sequences import domain_sequences
from trainorder.curriculum.gradient_balance import balanced
from trainorder.curriculum.herding import herded
from trainorder.curriculum.paired_reversal import paired_reversal
from trainorder.curriculum.score_patterns import sawtooth, segmented, stair

WORST = "worst"  # the family of the order that a search finds if it raises the objective


@dataclass(frozen=True)
class UnitFeatures:
    """What is known about U units before any order is retrained.

    Attributes:
        losses: (U,) loss of each unit before the window.
        gradients: (U, q) gradient of each unit, in coordinates of any orthonormal basis.
        domains: domain of each unit.
        reference: (U,) units in the sequence of the reference order.

    """

    losses: np.ndarray
    gradients: np.ndarray
    domains: Sequence[str]
    reference: np.ndarray

    @property
    def deviations(self) -> np.ndarray:
        """Gradient of each unit minus the mean over units, (U, q) float64."""
        gradients = self.gradients.astype(np.float64)
        result: np.ndarray = gradients - gradients.mean(axis=0)
        return result


def literature_orders(families: Collection[str], features: UnitFeatures) -> dict[str, np.ndarray]:
    """Return units (U,) in the sequence of each order of `families`, by name of the order.

    `worst` gives none, because it needs a search.
    """
    orders: dict[str, np.ndarray] = {}
    for family, made in _FAMILIES.items():
        if family in families:
            orders |= made(features)
    return orders


def literature_count(families: Collection[str], domains: int) -> int:
    """Return the number of orders of `families`, that of `worst` included."""
    counts = {"balanced": 2, "patterns": 3, "distance": 2, "paired": 1, WORST: 1}
    return sum({**counts, "last-domain": domains - 1}[family] for family in families)


def _balanced(features: UnitFeatures) -> Mapping[str, np.ndarray]:
    deviations = features.deviations
    return {
        "gradient-balance": balanced(deviations, features.reference),
        "herding": herded(deviations),
    }


def _patterns(features: UnitFeatures) -> Mapping[str, np.ndarray]:
    losses = features.losses
    return {
        "segment": segmented(losses, features.reference),
        "stair": stair(losses),
        "sawtooth": sawtooth(losses),
    }


def _distance(features: UnitFeatures) -> Mapping[str, np.ndarray]:
    """Sort by distance from the mean, as Sorscher et al. (2022) rank examples by a prototype."""
    distance = np.linalg.norm(features.deviations, axis=1)
    return {
        "typical-first": np.argsort(distance, kind="stable"),
        "typical-last": np.argsort(-distance, kind="stable"),
    }


def _paired(features: UnitFeatures) -> Mapping[str, np.ndarray]:
    labels = np.unique(np.array(features.domains), return_inverse=True)[1]
    return {"paired-reversal": paired_reversal(features.losses, labels, features.reference)}


def _last_domain(features: UnitFeatures) -> Mapping[str, np.ndarray]:
    return domain_sequences(features.domains, features.reference)


_FAMILIES: dict[str, Callable[[UnitFeatures], Mapping[str, np.ndarray]]] = {
    "balanced": _balanced,
    "patterns": _patterns,
    "distance": _distance,
    "paired": _paired,
    "last-domain": _last_domain,
}

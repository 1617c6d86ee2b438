"""The orders that are worth a real retraining: searched ones, and those that others would try.

Successive halving over fidelity (Jamieson and Talwalkar 2016): each rung sees fewer orders than the
one before and costs more for each. Thousands of orders are scored by the cheap estimate, the best
of each method by the dear one, and the best of these are retrained.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.effects import Score
from trainorder.curriculum.search import Proposal
from trainorder.orders.order import Order

SEARCHED, FIELD = "searched", "field"  # kinds of candidates
SPLIT = "curriculum"  # that they all belong to


@dataclass(frozen=True)
class Candidate:
    """An order of which the objective is estimated.

    Attributes:
        name: of the order.
        kind: `searched`, or `field` for the orders that others would try.
        schedule: (T, k).
        estimates: of the objective, by estimator.
        retrained: whether it is to be retrained for the curriculum.
        search: of a searched order, how: `method`, `scored` (orders) and `seconds`; of another, by
            how many units it breaks the constraints, `violations`.

    """

    name: str
    kind: str
    schedule: np.ndarray
    estimates: Mapping[str, float]
    retrained: bool
    search: Mapping[str, Any]

    def as_dict(self, reference: Order) -> dict[str, Any]:
        """Return the candidate as it stands in `candidates.json`, an order with more fields."""
        order = Order(self.name, self.kind, SPLIT, self.schedule)
        more = {"estimates": dict(self.estimates), "retrained": self.retrained}
        return {**order.as_dict(reference), **more, "search": dict(self.search)}


def slug(method: str) -> str:
    """Return the name of the order that a method proposes."""
    return method.replace(",", "").replace(" ", "-")


def searched_candidates(
    proposals: Sequence[Proposal], cheap: str, dear: str, score: Score, retrained: int
) -> list[Candidate]:
    """Return a candidate for each different proposal, the best by the dear estimate first.

    The first `retrained` go on to real training.

    Args:
        proposals: the best first; of those with one and the same order, the first counts.
        cheap: name of the estimator that the search went by.
        dear: name of the estimator that `score` asks.
        score: of schedules, lower is better.
        retrained: how many go on to real training.

    """
    different: dict[bytes, Proposal] = {}
    for proposal in proposals:
        different.setdefault(proposal.schedule.tobytes(), proposal)
    by_name = {slug(proposal.method): proposal for proposal in different.values()}
    schedules = {name: proposal.schedule for name, proposal in by_name.items()}
    values = score(np.stack(list(schedules.values()))).tolist()
    scores = dict(zip(schedules, values, strict=True))
    return [
        Candidate(
            name,
            SEARCHED,
            schedules[name],
            {cheap: by_name[name].score, dear: scores[name]},
            place < retrained,
            {
                "method": by_name[name].method,
                "scored": by_name[name].scored,
                "seconds": by_name[name].seconds,
            },
        )
        for place, name in enumerate(sorted(scores, key=lambda name: scores[name]))
    ]


def heuristic_candidates(
    orders: Mapping[str, np.ndarray],
    constraints: Constraints,
    estimators: Mapping[str, Score],
    known: Collection[str],
) -> list[Candidate]:
    """Return the field's orders as candidates, whatever the constraints.

    A baseline that breaks them is shown all the same, and says by how many units it does. Those
    that are `known` have their truth already.
    """
    schedules = np.stack(list(orders.values()))
    scores = {name: score(schedules) for name, score in estimators.items()}
    broken = constraints.violations(schedules)
    return [
        Candidate(
            name,
            FIELD,
            schedule,
            {estimator: float(values[place]) for estimator, values in scores.items()},
            name not in known,
            {"violations": int(broken[place])},
        )
        for place, (name, schedule) in enumerate(orders.items())
    ]

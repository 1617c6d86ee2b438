"""Candidates for retraining: searched orders, and the usual heuristic orders.

This is successive halving over fidelity (Jamieson and Talwalkar 2016): each rung has fewer orders
than the one before and costs more per order. The cheap estimator scores thousands of orders, the
expensive one scores the best order of each method, and the best of these are retrained.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainorder.curriculum.candidates_file import FIELD, SEARCHED
from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.effects import Score
from trainorder.curriculum.search import Proposal
from trainorder.orders.order import Order
from trainorder.orders.schedule_key import schedule_key

SPLIT = "curriculum"  # the split of all candidates


@dataclass(frozen=True)
class Candidate:
    """An order with an estimated objective.

    Attributes:
        name: name of the order.
        kind: `searched`, or `field` for a heuristic order.
        schedule: (T, k).
        estimates: estimated objective by estimator.
        retrained: whether it will be retrained for the curriculum.
        search: for a searched order its `method`, the number of orders `scored` and the `seconds`;
            for a heuristic order the number of units that break the constraints, `violations`.

    """

    name: str
    kind: str
    schedule: np.ndarray
    estimates: Mapping[str, float]
    retrained: bool
    search: Mapping[str, Any]

    def as_dict(self, reference: Order) -> dict[str, Any]:
        """Return the record of `candidates.json`: an order with further fields."""
        order = Order(self.name, self.kind, SPLIT, self.schedule)
        return {
            **order.as_dict(reference),
            "estimates": dict(self.estimates),
            "retrained": self.retrained,
            "search": dict(self.search),
        }


def slug(method: str) -> str:
    """Return the name of the order that a method proposes."""
    return method.replace(",", "").replace(" ", "-")


def searched_candidates(
    proposals: Sequence[Proposal], cheap: str, expensive: str, score: Score, retrained: int
) -> list[Candidate]:
    """Return a candidate for each different proposal, sorted by the expensive estimate.

    Args:
        proposals: the best first; if several have the same order (within a step, the
            sequence of units does not matter), the first one counts.
        cheap: name of the estimator that the search used.
        expensive: name of the estimator in `score`.
        score: estimates the objective of schedules; lower is better.
        retrained: number of candidates, from the first, that will be retrained.

    """
    different: dict[bytes, Proposal] = {}
    for proposal in proposals:
        different.setdefault(schedule_key(proposal.schedule), proposal)
    by_name = {slug(proposal.method): proposal for proposal in different.values()}
    schedules = {name: proposal.schedule for name, proposal in by_name.items()}
    values = score(np.stack(list(schedules.values()))).tolist()
    scores = dict(zip(schedules, values, strict=True))
    return [
        Candidate(
            name,
            SEARCHED,
            schedules[name],
            {cheap: by_name[name].score, expensive: scores[name]},
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
    already_retrained: Collection[str],
) -> list[Candidate]:
    """Return heuristic orders as candidates.

    They are baselines, so they may break the constraints; `violations` counts by how many units.

    Args:
        orders: schedules (T, k) by name.
        constraints: constraints of the search.
        estimators: function that estimates the objective, by name of the estimator.
        already_retrained: names of the orders whose truth is known.
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
            name not in already_retrained,
            {"violations": int(broken[place])},
        )
        for place, (name, schedule) in enumerate(orders.items())
    ]

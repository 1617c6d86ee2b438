"""Every method proposes an order that meets the constraints; the better ones win."""

import numpy as np
import pytest

from trainorder.curriculum.constraints import Constraints, Quota, places
from trainorder.curriculum.search import halved, proposals, random_orders
from trainorder.errors import UserError

UNITS = 10
REFERENCE = np.arange(UNITS).reshape(-1, 1)
DOMAINS = ["sea", "land"] * (UNITS // 2)
EFFECTS = np.random.default_rng(0).normal(size=(UNITS, UNITS))
BY_NAME = {"a": REFERENCE, "b": REFERENCE[::-1], "c": np.roll(REFERENCE, 1)}


def score(schedules):
    """Return an additive score with a little of something else."""
    where = places(schedules)
    return EFFECTS[np.arange(UNITS), where].sum(axis=1) + 0.1 * np.sin(where[:, 0] * where[:, 1])


@pytest.mark.parametrize(
    "constraints", [{}, {"pinned": {0: 9, 3: 3}, "quotas": [Quota("sea", 0, 4, least=3)]}]
)
def test_all_proposals_meet_the_constraints_and_are_scored_as_they_are(constraints):
    made = Constraints(REFERENCE, DOMAINS, **constraints)
    found = proposals(score, made, 800, 10, 0)
    methods = [proposal.method for proposal in found]
    assert {"best of random", "local search", "assignment", "genetic"} <= set(methods)
    for proposal in found:
        assert made.violations(proposal.schedule[None])[0] == 0, f"{proposal.method} breaks them"
        assert proposal.score == score(proposal.schedule[None])[0]
    assert [p.score for p in found] == sorted(p.score for p in found)
    by_method = {proposal.method: proposal.score for proposal in found}
    assert by_method["assignment, local search"] <= by_method["assignment"]
    assert by_method["assignment"] < by_method["best of random"], "additive effects are not used"


def test_random_orders_are_all_different_where_few_meet_the_constraints():
    tight = Constraints(REFERENCE, DOMAINS, furthest=2)
    found = random_orders(tight, 40, np.random.default_rng(0))
    assert not tight.violations(found).any()
    assert len(np.unique(found.reshape(40, -1), axis=0)) > 20


def test_without_an_order_that_meets_the_constraints_there_is_one_line():
    with pytest.raises(UserError, match="no order meets them all"):
        proposals(score, Constraints(REFERENCE, DOMAINS, pinned={0: 0, 1: 0}), 20, 2, 0)


def test_halving_hands_the_best_of_each_rung_to_the_next():
    seen = []

    def rung(values):
        def scores(schedules):
            seen.append(len(schedules))
            return np.array(values[: len(schedules)])

        return scores

    found = halved(BY_NAME, [(rung([3.0, 1.0, 2.0]), 3), (rung([5.0, 4.0]), 2), (rung([7.0]), 1)])
    assert seen == [3, 2, 1]
    assert [sorted(values) for values in found] == [["a", "b", "c"], ["b", "c"], ["c"]]
    assert found[1] == {"b": 5.0, "c": 4.0}

"""Every method proposes an order that meets the constraints; the best one comes first."""

import numpy as np
import pytest

from trainorder.curriculum.constraints import Constraints, Quota, places
from trainorder.curriculum.effects import LEAST_SCHEDULES
from trainorder.curriculum.search import (
    LOCAL_SEARCHES,
    PAIR_PROPOSALS,
    PROPOSALS,
    proposals,
    random_orders,
)
from trainorder.errors import UserError

UNITS = 10
REFERENCE = np.arange(UNITS).reshape(-1, 1)
DOMAINS = ["sea", "land"] * (UNITS // 2)
EFFECTS = np.random.default_rng(0).normal(size=(UNITS, UNITS))


def score(schedules):
    """Return a score that is additive except for a small term."""
    where = places(schedules)
    return EFFECTS[np.arange(UNITS), where].sum(axis=1) + 0.1 * np.sin(where[:, 0] * where[:, 1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "constraints", [{}, {"pinned": {0: 9, 3: 3}, "quotas": [Quota("sea", 0, 4, least=3)]}]
)
def test_all_proposals_meet_the_constraints_and_have_their_own_score(constraints):
    limits = Constraints(REFERENCE, DOMAINS, **constraints)
    actual = proposals(score, limits, 800, 10, 0)
    methods = [proposal.method for proposal in actual]
    assert {"best of random", "local search", "assignment", "genetic"} <= set(methods)
    for proposal in actual:
        assert limits.violations(proposal.schedule[None])[0] == 0, f"{proposal.method} breaks them"
        assert proposal.score == score(proposal.schedule[None])[0]
    assert [p.score for p in actual] == sorted(p.score for p in actual)
    by_method = {proposal.method: proposal.score for proposal in actual}
    assert by_method["assignment, local search"] <= by_method["assignment"]
    assert by_method["assignment"] < by_method["best of random"], "additive effects are not used"


def test_the_plan_knows_how_many_orders_are_proposed():
    actual = proposals(score, Constraints(REFERENCE, DOMAINS), 200, 2, 0)
    methods = [proposal.method for proposal in actual]
    assert len(methods) == PROPOSALS
    assert sum("local search" in method for method in methods) == LOCAL_SEARCHES
    assert sum("pairwise" in method for method in methods) == PAIR_PROPOSALS


@pytest.mark.filterwarnings("error")
def test_the_least_number_of_random_orders_is_enough_for_every_method():
    actual = proposals(score, Constraints(REFERENCE, DOMAINS), LEAST_SCHEDULES, 2, 0)
    assert len(actual) == PROPOSALS
    assert all(np.isfinite(proposal.score) for proposal in actual)


def test_random_orders_differ_even_if_few_orders_meet_the_constraints():
    tight = Constraints(REFERENCE, DOMAINS, furthest=2)
    actual = random_orders(tight, 40, np.random.default_rng(0))
    assert not tight.violations(actual).any()
    assert len(np.unique(actual.reshape(40, -1), axis=0)) > 20


def test_a_search_without_an_allowed_order_raises_one_line():
    with pytest.raises(UserError, match="no order meets pinned, quotas and furthest together"):
        proposals(score, Constraints(REFERENCE, DOMAINS, pinned={0: 0, 1: 0}), 20, 2, 0)

"""The expensive estimator scores all different orders, and the best of them are retrained."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainorder.curriculum.candidates import heuristic_candidates, searched_candidates, slug
from trainorder.curriculum.candidates_file import RULES, SEARCHED, read_candidates
from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.search import Proposal
from trainorder.errors import UserError
from trainorder.orders.order import Order
from trainorder.orders.schedule_key import schedule_key

RULES_FILE = Path(__file__).parents[2] / "rules/curriculum.smk"
FIRST, SECOND = np.arange(4)[:, None], np.arange(4)[::-1, None]
PROPOSALS = [
    Proposal("assignment, local search", FIRST, 1.0, 10, 0.5),
    Proposal("local search", FIRST.copy(), 1.0, 20, 0.5),
    Proposal("genetic", SECOND, 2.0, 30, 0.5),
]


def first_unit(schedules):
    return -schedules[:, 0, 0].astype(float)


def test_an_order_that_two_methods_propose_is_one_candidate():
    actual = searched_candidates(PROPOSALS, "cheap", "expensive", first_unit, 1)
    assert [candidate.name for candidate in actual] == ["genetic", "assignment-local-search"]


@given(st.lists(st.permutations(range(4)), min_size=1, max_size=30))
def test_candidates_are_as_many_as_orders_that_differ_in_a_step(visits):
    """The sequence of the units inside a step does not matter."""
    schedules = [np.array(units).reshape(2, 2) for units in visits]
    given = [Proposal(f"way {place}", s, 1.0, 1, 0.5) for place, s in enumerate(schedules)]
    keys = [schedule_key(schedule) for schedule in schedules]
    actual = searched_candidates(given, "cheap", "expensive", first_unit, 1)
    assert len(actual) == len({*keys}), "an order is retrained twice, or is missing"
    names = {f"way-{keys.index(key)}" for key in keys}
    assert {candidate.name for candidate in actual} == names, "not the first of equal proposals"


def test_the_expensive_estimate_decides_which_are_retrained():
    best, other = searched_candidates(PROPOSALS, "cheap", "expensive", first_unit, 1)
    assert best.estimates == {"cheap": 2.0, "expensive": -3.0}, "the cheap estimate decided"
    assert (best.retrained, other.retrained) == (True, False)
    assert other.search == {"method": "assignment, local search", "scored": 10, "seconds": 0.5}


def test_heuristic_candidates_have_violations_and_are_retrained_if_new():
    constraints = Constraints(FIRST, ["a"] * 4, pinned={0: 0, 1: 1})
    orders = {"same": FIRST, "reversed": SECOND}
    actual = heuristic_candidates(orders, constraints, {"expensive": first_unit}, ["reversed"])
    assert [candidate.search["violations"] for candidate in actual] == [0, 2]
    assert [candidate.retrained for candidate in actual] == [True, False]
    assert actual[1].estimates == {"expensive": -3.0}


def test_the_record_of_a_candidate_is_that_of_an_order():
    [best, _] = searched_candidates(PROPOSALS, "cheap", "expensive", first_unit, 1)
    record = best.as_dict(Order("reference", "reference", "reference", FIRST))
    assert (record["name"], record["kind"], record["split"]) == ("genetic", SEARCHED, "curriculum")
    assert record["kendall"] == 1.0
    assert record["schedule"] == SECOND.tolist()


def test_names_of_orders_have_no_blanks():
    assert slug("pairwise assignment, local search") == "pairwise-assignment-local-search"


def test_each_file_of_candidates_has_the_rule_that_writes_it():
    outputs = re.findall(
        r"^ *rule (\w+):.*?^ *candidates=f\"{RESULTS}/curriculum/(\S+)\"",
        RULES_FILE.read_text(encoding="utf-8"),
        re.M | re.S,
    )
    assert {file: rule for rule, file in outputs} == RULES, "a message names another rule"


@pytest.mark.parametrize("file", RULES)
def test_a_missing_file_of_candidates_raises_the_rule_to_rerun(file, tmp_path):
    with pytest.raises(UserError, match=f"{file}: no such file; rerun rule `{RULES[file]}`"):
        read_candidates(tmp_path / file)

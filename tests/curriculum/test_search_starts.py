"""The compute of a search by steps counts each retraining that it uses once."""

import numpy as np
import pytest

from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.search_starts import search_starts
from trainorder.curriculum.step_records import step_record
from trainorder.curriculum.step_search import Costed, Levels, search_by_steps
from trainorder.orders.order import Order
from trainorder.orders.order_book import OrderBook
from trainorder.orders.schedule_key import schedule_key

REFERENCE = np.arange(6)[:, None]


def order(name, split, *units, kind="random"):
    return Order(name, kind, split, np.array(units)[:, None])


ORDERS = OrderBook(
    [
        Order("reference", "reference", "reference", REFERENCE),
        order("near", "calibration", 1, 0, 2, 3, 4, 5),
        order("far", "calibration", 5, 1, 2, 3, 4, 0),
        order("random-0", "random", 0, 2, 1, 3, 4, 5),
        order("sorted", "structured", 0, 1, 2, 4, 3, 5),
        order("twice", "custom", 0, 1, 2, 3, 4, 4, kind="free"),
    ]
)
TRUE = {name: float(place) for place, name in enumerate(ORDERS)}


def used(recorded, **constraints):
    limits = Constraints(REFERENCE, ["a"] * 6, **constraints)
    keys = {schedule_key(ORDERS[name].schedule) for name in recorded}
    return search_starts(ORDERS, TRUE, limits, lambda schedule: schedule_key(schedule) in keys)


CASES = {
    "free": ({}, ["reference", "near"], ["reference", "near", "far", "sorted"], 3),
    "near": ({"furthest": 1}, ["reference"], ["reference", "near", "sorted"], 2),
    "a run breaks them": ({"furthest": 1}, ["far"], ["reference", "near", "sorted"], 3),
    "the reference breaks them": ({"pinned": {0: 1}}, ["reference", "far"], ["near"], 2),
    "all break them": ({"pinned": {0: 3}}, ["reference", "near", "far"], [], 2),
}


@pytest.mark.parametrize("case", CASES)
def test_starts_meet_the_constraints_and_every_used_retraining_counts_once(case):
    constraints, recorded, starts, retrained = CASES[case]
    result = used(recorded, **constraints)
    assert [start.value for start in result.starts] == [TRUE[name] for name in starts]
    assert result.retrained == retrained, (
        "the reference is in the precompute; starts and known runs count once each"
    )


class Sums:
    """A landscape whose orders are retrained at once."""

    def __init__(self):
        self.retrained = []

    def estimate(self, about, schedules, size):
        return Costed(np.zeros(len(schedules)), 0.0)

    def retrain(self, schedules):
        self.retrained += [schedule_key(schedule) for schedule in schedules]
        return Costed(np.array([float(one[0, 0]) for one in schedules]), len(schedules))


def test_starts_that_the_search_draws_are_not_counted_as_orders_of_the_study():
    constraints = {"pinned": {0: 3}}
    before, landscape = used(["reference"], **constraints), Sums()
    limits = Constraints(REFERENCE, ["a"] * 6, **constraints)
    search = search_by_steps(landscape, before.starts, limits, Levels({1: 0.1}), 10, seed=0)
    record = step_record(search, 10, before.retrained)
    assert len(record["starts"]) == 4, "it draws its starts"
    assert record["retrained_before"] == 0, "drawn starts are already among its own retrainings"

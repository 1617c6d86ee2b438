"""The search by steps, on landscapes that are evaluated in microseconds."""

import numpy as np
import pytest

from trainorder.curriculum.assignment import linear_assignment
from trainorder.curriculum.constraints import Constraints, Quota, places
from trainorder.curriculum.step_search import Costed, EvaluatedOrder, Levels, search_by_steps
from trainorder.orders.schedule_key import schedule_key

UNITS = 10
DOMAINS = ["sea"] * 5 + ["land"] * 5
REFERENCE = np.arange(UNITS)[:, None]
FREE = Constraints(REFERENCE, DOMAINS)
LEVELS = Levels({4: 0.05, 16: 0.2}, screened=32)


class Synthetic:
    """A landscape that is a sum of effects of (unit, step), with noisy estimates."""

    def __init__(self, noise=0.0, seed=0):
        self.effects = np.random.default_rng(seed).normal(size=(UNITS, UNITS))
        self.noise, self.recorded = noise, set()
        self.estimated, self.retrained = [], []

    def true(self, schedules):
        return self.effects[np.arange(UNITS), places(schedules)].sum(axis=1)

    def estimate(self, about, schedules, size):
        assert schedule_key(about) in self.recorded, "no run is recorded about these estimates"
        self.estimated.append((size, len(schedules)))
        rng = np.random.default_rng([size, len(self.estimated)])
        noise = self.noise / size**0.5 * rng.normal(size=len(schedules))
        return Costed(self.true(schedules) + noise, LEVELS.prices[size] * len(schedules) / 2)

    def retrain(self, schedules):
        self.retrained += list(schedules)
        self.recorded |= {schedule_key(schedule) for schedule in schedules}
        return Costed(self.true(schedules), len(schedules))

    def starts(self, count=3, *, recorded=True, constraints=FREE, seed=1):
        rng = np.random.default_rng(seed)
        drawn = (rng.permutation(UNITS)[:, None] for _ in range(1000))
        schedules = [s for s in drawn if not constraints.violations(s[None])[0]][:count]
        self.recorded |= {schedule_key(s) for s in schedules} if recorded else set()
        return [EvaluatedOrder(s, float(self.true(s[None])[0]), recorded) for s in schedules]


def searched(landscape, budget=40, *, constraints=FREE, levels=LEVELS, seed=0, **starts):
    orders = landscape.starts(constraints=constraints, **starts)
    return search_by_steps(landscape, orders, constraints, levels, budget, seed)


def best_of(search):
    """Return the known order with the lowest true objective."""
    return min(search.known, key=lambda order: order.value)


def optimum(landscape):
    best = linear_assignment(landscape.effects, FREE)
    return float(landscape.true(best[None])[0])


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_the_search_finds_the_optimum_of_additive_effects(seed):
    landscape = Synthetic(seed=seed)
    best = best_of(searched(landscape, budget=300))
    assert best.value == pytest.approx(optimum(landscape)), "it stalls above the optimum"


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_noisy_estimates_still_lower_the_objective(noise):
    landscape = Synthetic(noise)
    search = searched(landscape)
    assert best_of(search).value < min(order.value for order in search.known[:3]) - 1


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("budget", [0, 0.9, 2, 3.7, 10, 33.3])
def test_the_budget_is_never_exceeded(budget, recorded):
    landscape = Synthetic(noise=1.0)
    search = searched(landscape, budget, recorded=recorded)
    spent = len(landscape.retrained)
    spent += sum(LEVELS.prices[size] * n / 2 for size, n in landscape.estimated)
    assert search.retrainings == pytest.approx(spent), "something was not counted"
    assert spent <= budget
    if budget >= 10:
        assert spent > budget - 3, "much of the budget is left over"


def test_orders_are_retrained_once():
    landscape = Synthetic(noise=3.0)
    searched(landscape, budget=80)
    keys = [schedule_key(schedule) for schedule in landscape.retrained]
    assert len(set(keys)) == len(keys), "a known order was retrained again"


def test_every_order_meets_the_constraints():
    constraints = Constraints(REFERENCE, DOMAINS, {0: 7}, [Quota("land", 0, 3, most=2)], 8)
    search = searched(Synthetic(), constraints=constraints)
    schedules = np.stack([order.schedule for order in search.known])
    assert len(schedules) > 10
    assert not constraints.violations(schedules).any()


def test_values_are_those_of_retraining_and_the_best_is_kept():
    landscape = Synthetic(noise=2.0)
    search = searched(landscape)
    true = landscape.true(np.stack([order.schedule for order in search.known]))
    assert np.allclose([order.value for order in search.known], true), "an estimate is reported"
    assert best_of(search).value == true.min()
    assert schedule_key(best_of(search).schedule) in landscape.recorded


def test_few_moves_reach_the_expensive_level():
    landscape = Synthetic()
    search = searched(landscape)
    assert [list(one.estimated) for one in search.rounds[:3]] == [[32, 8]] * 3
    assert all(1 <= len(one.retrained) <= LEVELS.retrained for one in search.rounds)


def test_a_search_that_stalls_takes_another_incumbent_and_larger_moves():
    class Rugged(Synthetic):
        def true(self, schedules):  # unrelated orders: a better one is rare
            keys = [list(schedule_key(schedule)) for schedule in schedules]
            return np.array([np.random.default_rng(key).normal() for key in keys])

    landscape = Rugged(noise=40.0)
    search = searched(landscape, budget=60)
    values = [order.value for order in search.known[:3]]
    incumbents = [one.incumbent for one in search.rounds]
    assert incumbents[0] == np.argmin(values), "the best start is not the first incumbent"
    assert len(set(incumbents)) > 1, "it never leaves an incumbent that nothing improves"
    assert max(one.moves for one in search.rounds) > 1, "moves do not become larger"


def test_a_start_that_is_not_recorded_is_retrained_first():
    landscape = Synthetic()
    search = searched(landscape, count=1, recorded=False)
    first = search.known[search.rounds[0].incumbent]
    assert schedule_key(landscape.retrained[0]) == schedule_key(first.schedule)
    assert first.is_recorded


def test_a_search_without_any_move_ends():
    pinned = Constraints(REFERENCE, DOMAINS, {unit: unit for unit in range(UNITS)})
    landscape = Synthetic()
    landscape.recorded.add(schedule_key(REFERENCE))
    start = EvaluatedOrder(REFERENCE, 0.0, is_recorded=True)
    search = search_by_steps(landscape, [start], pinned, LEVELS, 20, seed=0)
    assert search.retrainings == 0
    assert best_of(search) is search.known[0]


def test_a_search_without_starts_retrains_random_orders_within_its_budget():
    constraints = Constraints(REFERENCE, DOMAINS, furthest=4)
    landscape = Synthetic()
    search = search_by_steps(landscape, [], constraints, LEVELS, 20, seed=0)
    assert len(landscape.retrained) <= search.retrainings <= 20
    assert [order.parent for order in search.known[:4]] == [None] * 4
    assert best_of(search).parent is not None, "no move from the drawn orders was better"

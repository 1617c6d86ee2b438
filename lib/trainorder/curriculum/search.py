"""Proposes orders by every method, all scored by the same estimate."""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from trainorder.curriculum.assignment import linear_assignment, pairwise_assignment
from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.effects import Score, additive_effects, pairwise_effects
from trainorder.curriculum.genetic_search import genetic_search
from trainorder.curriculum.local_search import local_search

_POPULATION = 200  # of the genetic algorithm: the best of the random orders
_BATCH = 512  # neighbours that local search scores at a time


@dataclass(frozen=True)
class Proposal:
    """An order that a method proposes.

    Attributes:
        method: that proposed it.
        schedule: (T, k).
        score: the estimate of the objective; lower is better.
        scored: orders that the method had scored for it, the random ones that all share left out.
        seconds: what the method took.

    """

    method: str
    schedule: np.ndarray
    score: float
    scored: int
    seconds: float


class _Counted:
    """A score that counts what it scores."""

    def __init__(self, score: Score) -> None:
        self.score, self.count = score, 0

    def __call__(self, schedules: np.ndarray) -> np.ndarray:
        self.count += len(schedules)
        return self.score(schedules)


def proposals(
    score: Score, constraints: Constraints, orders: int, rounds: int, seed: int
) -> list[Proposal]:
    """Return the proposal of each method, the best first.

    Args:
        score: estimates the objective of schedules (O, T, k).
        constraints: what an order may not do; every proposal meets them.
        orders: random orders that are scored, to read the effects from and to begin with.
        rounds: generations of the genetic algorithm, and batches of local search.
        seed: of all random choices.

    Raises:
        UserError: no order meets the constraints.

    """
    tried = random_orders(constraints, orders, np.random.default_rng([seed, 0]))
    values = score(tried)
    counted = _Counted(score)
    found = []
    began = perf_counter()
    for method, schedule in _searched(counted, constraints, tried, values, rounds, seed):
        if constraints.violations(schedule[None])[0]:
            continue  # pairs of units know nothing of constraints
        value = float(score(schedule[None])[0])
        found.append(Proposal(method, schedule, value, counted.count, perf_counter() - began))
        counted.count, began = 0, perf_counter()
    return sorted(found, key=lambda proposal: proposal.score)


def _searched(
    score: Score,
    constraints: Constraints,
    tried: np.ndarray,
    values: np.ndarray,
    rounds: int,
    seed: int,
) -> Iterator[tuple[str, np.ndarray]]:
    width = constraints.reference.shape[1]
    ranked = values.argsort()

    def refined(start: np.ndarray, stream: int) -> np.ndarray:
        rng = np.random.default_rng([seed, stream])
        return local_search(score, start, constraints, rng, _BATCH, rounds)

    yield "best of random", tried[ranked[0]]
    yield "local search", refined(tried[ranked[0]], 1)
    assigned = linear_assignment(additive_effects(tried, values), constraints)
    yield "assignment", assigned
    yield "assignment, local search", refined(assigned, 2)
    paired = pairwise_assignment(pairwise_effects(tried, values), width, seed)
    yield "pairwise assignment", paired
    if not constraints.violations(paired[None])[0]:
        yield "pairwise assignment, local search", refined(paired, 3)
    bred = genetic_search(score, tried[ranked[:_POPULATION]], constraints, rounds, seed)
    yield "genetic", bred
    yield "genetic, local search", refined(bred, 4)


def random_orders(constraints: Constraints, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return random schedules (count, T, k) that meet the constraints.

    Permutations; where few of them meet the constraints, assignments with random effects instead.

    Raises:
        UserError: no order meets the constraints.

    """
    steps, width = constraints.reference.shape
    units = steps * width
    tried = np.stack([rng.permutation(units) for _ in range(count)]).reshape(count, steps, width)
    meeting: np.ndarray = tried[constraints.violations(tried) == 0]
    missing = count - len(meeting)
    if not missing:
        return meeting
    made = [linear_assignment(rng.normal(size=(units, steps)), constraints) for _ in range(missing)]
    return np.concatenate([meeting, np.stack(made)])

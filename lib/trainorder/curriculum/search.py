"""Proposes one order by each search method; the same estimate scores all of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from trainorder.curriculum.assignment import linear_assignment, pairwise_assignment
from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.effects import Score, additive_effects, pairwise_effects
from trainorder.curriculum.genetic_search import genetic_search
from trainorder.curriculum.local_search import local_search

PROPOSALS, LOCAL_SEARCHES = 8, 4  # at most; of the proposals, those that a local search refined
PAIR_PROPOSALS = 2  # of the pairwise assignment, which ignores the constraints
POPULATION = 200  # of the genetic search: the best random orders
NEIGHBOURS = 512  # orders that local search scores at once


@dataclass(frozen=True)
class Proposal:
    """An order that a method proposes.

    Attributes:
        method: name of the method that proposed it.
        schedule: (T, k).
        score: estimated objective; lower is better.
        scored: number of orders that the method scored, without the random ones that all share.
        seconds: time that the method took.

    """

    method: str
    schedule: np.ndarray
    score: float
    scored: int
    seconds: float


class _CountingScore:
    """A score that counts the schedules that it scores."""

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
        constraints: every proposal meets them.
        orders: number of random orders that effects are estimated from and searches begin with.
        rounds: generations of the genetic search, and batches of local search.
        seed: seed of all random choices.

    Raises:
        UserError: no order meets the constraints.

    """
    sample = random_orders(constraints, orders, np.random.default_rng([seed, 0]))
    values = score(sample)
    counted = _CountingScore(score)
    result = []
    began = perf_counter()
    for method, schedule in _searched(counted, constraints, sample, values, rounds, seed):
        if constraints.violations(schedule[None])[0]:
            continue  # the pairwise assignment does not know the constraints
        value = float(score(schedule[None])[0])
        result.append(Proposal(method, schedule, value, counted.count, perf_counter() - began))
        counted.count, began = 0, perf_counter()
    return sorted(result, key=lambda proposal: proposal.score)


def _searched(
    score: Score,
    constraints: Constraints,
    sample: np.ndarray,
    values: np.ndarray,
    rounds: int,
    seed: int,
) -> Iterator[tuple[str, np.ndarray]]:
    width = constraints.reference.shape[1]
    ranked = values.argsort()

    def refined(start: np.ndarray, stream: int) -> np.ndarray:
        rng = np.random.default_rng([seed, stream])
        return local_search(score, start, constraints, rng, NEIGHBOURS, rounds)

    yield "best of random", sample[ranked[0]]
    yield "local search", refined(sample[ranked[0]], 1)
    assigned = linear_assignment(additive_effects(sample, values), constraints)
    yield "assignment", assigned
    yield "assignment, local search", refined(assigned, 2)
    paired = pairwise_assignment(pairwise_effects(sample, values), width, seed)
    yield "pairwise assignment", paired
    if not constraints.violations(paired[None])[0]:
        yield "pairwise assignment, local search", refined(paired, 3)
    evolved = genetic_search(score, sample[ranked[:POPULATION]], constraints, rounds, seed)
    yield "genetic", evolved
    yield "genetic, local search", refined(evolved, 4)


def random_orders(constraints: Constraints, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return random schedules (count, T, k) that meet the constraints.

    They are permutations; those that break the constraints are replaced by linear assignments of
    random effects.

    Raises:
        UserError: no order meets the constraints.

    """
    steps, width = constraints.reference.shape
    units = steps * width
    sample = np.stack([rng.permutation(units) for _ in range(count)]).reshape(count, steps, width)
    allowed: np.ndarray = sample[constraints.violations(sample) == 0]
    missing = count - len(allowed)
    if not missing:
        return allowed
    assigned = [
        linear_assignment(rng.normal(size=(units, steps)), constraints) for _ in range(missing)
    ]
    return np.concatenate([allowed, np.stack(assigned)])

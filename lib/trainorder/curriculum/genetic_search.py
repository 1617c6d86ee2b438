"""Genetic search over orders, as in the published study (Yang et al. 2025), with DEAP."""

import random
from collections.abc import Sequence

import numpy as np
from deap import algorithms, base, tools

from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.effects import Score

_CROSSOVER, _MUTATION, _SHUFFLED, _TOURNAMENT = 0.6, 0.4, 0.05, 3


class _Fitness(base.Fitness):  # type: ignore[misc]
    """Broken constraints first, then the score; lower is better for both."""

    weights = (-1.0, -1.0)


class _Individual(list[int]):
    """The units of an order, in the sequence in which it visits them."""

    def __init__(self, visits: Sequence[int]) -> None:
        super().__init__(visits)
        self.fitness = _Fitness()


def genetic_search(
    score: Score,
    population: np.ndarray,
    constraints: Constraints,
    generations: int,
    seed: int,
) -> np.ndarray:
    """Return the best schedule (T, k) of all generations.

    Ordered crossover (Goldberg 1989), mutation that shuffles a few places, and tournament selection
    among parents and offspring. An order that breaks more constraints loses against one that breaks
    fewer. All orders of a generation are scored at once.

    Args:
        score: estimates the objective of schedules; lower is better.
        population: (n, T, k), the first generation.
        constraints: constraints of the search.
        generations: number of further generations.
        seed: seed of all random choices. DEAP draws from Python's global random state, which is
            restored afterwards.

    """
    shape = population.shape[1:]
    toolbox = base.Toolbox()
    toolbox.register("mate", tools.cxOrdered)
    toolbox.register("mutate", tools.mutShuffleIndexes, indpb=_SHUFFLED)
    toolbox.register("select", tools.selTournament, tournsize=_TOURNAMENT)
    toolbox.register("evaluate", lambda individual: None)

    def scored(_: object, individuals: Sequence[_Individual]) -> list[tuple[float, float]]:
        if not individuals:
            return []
        schedules = np.array(individuals).reshape(-1, *shape)
        broken = constraints.violations(schedules)
        return list(zip(broken.astype(float), score(schedules).astype(float), strict=True))

    toolbox.register("map", scored)
    best = tools.HallOfFame(1)
    count, before = len(population), random.getstate()
    random.seed(seed)
    try:
        algorithms.eaMuPlusLambda(
            [_Individual(row) for row in population.reshape(count, -1).tolist()], toolbox,
            count, count, _CROSSOVER, _MUTATION, generations, halloffame=best, verbose=False,
        )  # fmt: skip
    finally:
        random.setstate(before)
    return np.array(best[0]).reshape(shape)

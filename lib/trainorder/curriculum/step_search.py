"""Search by steps: estimate moves about an order that was retrained, retrain the best, repeat.

Near an order's own training run, estimates with the residuals of that run are accurate even where
expansions about a distant path fail. Each round is successive halving (Jamieson and Talwalkar
2016): many moves are estimated with few sequences, the best of them with more, and the best of
those are retrained. A retrained order is a known run, from which later rounds can move.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

from trainorder.curriculum.constraints import Constraints
from trainorder.curriculum.moves import proposed
from trainorder.curriculum.search import random_orders

STALL = 0.15  # penalty of an incumbent by round without a better order, in spreads of the starts
_DRAWN_STARTS = 4  # random orders that a search without starts retrains
_HALVING = 4  # moves that are estimated at a level, for each one that goes on to the next


class Costed(NamedTuple):
    """Objectives of schedules (O,) and what they cost together, in retrainings."""

    values: np.ndarray
    retrainings: float


class Landscape(Protocol):
    """Estimates and retrains orders."""

    def estimate(self, about: np.ndarray, schedules: np.ndarray, size: int) -> Costed:
        """Estimate schedules (O, T, k) about the run on the schedule `about` (T, k).

        `about` was retrained with `retrain`, or is the schedule of a recorded start. `size` is a
        number of sequences, as of the estimator `corrected`.
        """
        ...

    def retrain(self, schedules: np.ndarray) -> Costed:
        """Retrain schedules (O, T, k) and record their runs."""
        ...


@dataclass(frozen=True)
class EvaluatedOrder:
    """An order whose true objective is known.

    Attributes:
        schedule: (T, k).
        value: the true objective; lower is better.
        is_recorded: whether its training run is recorded, so that moves about it can be estimated.
        parent: place, among the known orders, of the order that was moved; None for a start.
        estimate: the last estimate before it was retrained; None for a start.

    """

    schedule: np.ndarray
    value: float
    is_recorded: bool
    parent: int | None = None
    estimate: float | None = None


@dataclass(frozen=True)
class Round:
    """What one round did.

    Attributes:
        incumbent: the place of its incumbent among the known orders.
        moves: largest number of moves from the incumbent.
        estimated: number of orders that were estimated at each size, from the smallest.
        retrained: places of the orders that it retrained.
        retrainings: what was spent at the end of the round.

    """

    incumbent: int
    moves: int
    estimated: Sequence[int]
    retrained: Sequence[int]
    retrainings: float


@dataclass(frozen=True)
class Levels:
    """The levels of a round, from the cheapest.

    Attributes:
        prices: largest cost of an estimate by size, in retrainings; sizes increase.
        screened: number of moves that are estimated at the first level.
        retrained: largest number of orders that are retrained in a round.

    """

    prices: Mapping[int, float]
    screened: int = 32
    retrained: int = 2

    def counts(self, budget: float) -> list[int]:
        """Return how many moves are estimated at each size, for at most `budget` retrainings.

        The list is empty if the budget does not suffice to retrain one order as well.
        """
        for first in range(self.screened, 0, -1):
            each = [max(1, first // _HALVING**level) for level in range(len(self.prices))]
            price = sum(n * one for n, one in zip(each, self.prices.values(), strict=True))
            if price + 1 <= budget:
                return each
        return []


@dataclass(frozen=True)
class StepSearch:
    """The known orders of a search by steps, starts first, and its rounds."""

    known: Sequence[EvaluatedOrder]
    rounds: Sequence[Round]
    retrainings: float


def search_by_steps(
    landscape: Landscape,
    starts: Sequence[EvaluatedOrder],
    constraints: Constraints,
    levels: Levels,
    budget: float,
    seed: int,
) -> StepSearch:
    """Search for the order with the lowest true objective, within a budget.

    A round moves about the known order with the lowest value plus a penalty for each earlier round
    about it that found no better order. So an incumbent that stalls gives way to the next best
    one, and moves about it become larger.

    Without starts, it begins with a few random orders, whose retraining counts.

    Args:
        landscape: estimates and retrains orders.
        starts: known orders that meet the constraints.
        constraints: every order of the search meets them.
        levels: sizes and numbers of a round.
        budget: largest cost, in retrainings; the starts are not counted.
        seed: of the moves.

    """
    search, rng = (
        _Search(landscape, constraints, levels, budget, list(starts)),
        np.random.default_rng(seed),
    )
    if not starts:
        search.draw_starts(rng)
    values = [start.value for start in search.known]
    penalty, idle = STALL * (float(np.std(values, ddof=1)) if len(values) > 1 else 0.0), 0
    while levels.counts(search.left) and idle < len(search.known):
        is_idle = not search.round(search.incumbent(penalty), rng)
        idle = idle + 1 if is_idle else 0
    return StepSearch(search.known, search.rounds, search.spent)


class _Search:
    """What a search knows and has spent."""

    def __init__(
        self,
        landscape: Landscape,
        constraints: Constraints,
        levels: Levels,
        budget: float,
        known: list[EvaluatedOrder],
    ) -> None:
        self.landscape, self.constraints, self.levels = landscape, constraints, levels
        self.budget, self.spent = budget, 0.0
        self.known, self.rounds = known, list[Round]()
        self._failures: Counter[int] = Counter()  # rounds without a better order, by incumbent

    @property
    def left(self) -> float:
        """What may still be spent, in retrainings."""
        return self.budget - self.spent

    def draw_starts(self, rng: np.random.Generator) -> None:
        """Retrain random orders that meet the constraints."""
        count = max(1, min(_DRAWN_STARTS, int(self.left)))
        schedules = random_orders(self.constraints, count, rng)
        values = self._spend(self.landscape.retrain(schedules)).tolist()
        self.known += [
            EvaluatedOrder(*pair, is_recorded=True) for pair in zip(schedules, values, strict=True)
        ]

    def incumbent(self, penalty: float) -> int:
        """Return the place of the order about which the next round moves."""

        def merit(place: int) -> tuple[float, int]:
            failures = self._failures[place]
            return self.known[place].value + penalty * failures, failures

        return min(range(len(self.known)), key=merit)

    def round(self, place: int, rng: np.random.Generator) -> bool:
        """Move about a known order; return whether any order was retrained."""
        if not self.known[place].is_recorded:
            self._spend(self.landscape.retrain(self.known[place].schedule[None]))
            self.known[place] = replace(self.known[place], is_recorded=True)
        incumbent, most = self.known[place], 1 + self._failures[place]
        estimated, schedules, values = self._screened(incumbent.schedule, most, rng)
        first = len(self.known)
        chosen = self._worth_retraining(values, incumbent.value)
        if chosen:
            true = self._spend(self.landscape.retrain(schedules[:chosen]))
            rows = zip(schedules, true.tolist(), values.tolist(), strict=False)
            self.known += [
                EvaluatedOrder(order, now, True, place, before) for order, now, before in rows
            ]
        retrained = range(first, len(self.known))
        is_better = any(self.known[row].value < incumbent.value for row in retrained)
        self._failures[place] = 0 if is_better else most
        self.rounds.append(Round(place, most, estimated, list(retrained), self.spent))
        return chosen > 0

    def _screened(
        self, about: np.ndarray, most: int, rng: np.random.Generator
    ) -> tuple[list[int], np.ndarray, np.ndarray]:
        """Return how many moves each level estimated, and those of the last level, best first."""
        counts, known = self.levels.counts(self.left), [order.schedule for order in self.known]
        first = counts[0] if counts else 0
        schedules = proposed(about, self.constraints, known, rng, count=first, most=most)
        values, estimated = np.zeros(len(schedules)), list[int]()
        for size, count in zip(self.levels.prices, counts, strict=False):
            schedules = schedules[:count]
            if len(schedules):
                values = self._spend(self.landscape.estimate(about, schedules, size))
                best = np.argsort(values, kind="stable")
                schedules, values = schedules[best], values[best]
                estimated.append(len(schedules))
        return estimated, schedules, values

    def _worth_retraining(self, values: np.ndarray, incumbent: float) -> int:
        """Return how many orders, from the best, are retrained: further ones only if promising."""
        promising = max(1, int((values < incumbent).sum()))
        return min(len(values), promising, self.levels.retrained, int(self.left))

    def _spend(self, costed: Costed) -> np.ndarray:
        self.spent += costed.retrainings
        return costed.values

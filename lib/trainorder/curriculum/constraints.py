"""Constraints on an order: pinned units, quotas of a domain in a span, and a furthest move."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Quota:
    """A bound on the number of units of a domain in the steps `first` to `last`, both included.

    Attributes:
        domain: domain of the units.
        first: first step of the span.
        last: last step of the span.
        least: smallest number of units.
        most: largest number of units; None: no bound.

    """

    domain: str
    first: int
    last: int
    least: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Constraints:
    """Constraints on schedules of one epoch, in which each unit occurs once.

    Attributes:
        reference: (T, k) schedule from which the distance of moves is counted.
        domains: domain of each of the U units.
        pinned: step by unit.
        quotas: bounds on the number of units of a domain in a span.
        furthest: largest number of steps between a unit's step and its step in the reference; None:
            no bound.

    """

    reference: np.ndarray
    domains: Sequence[str]
    pinned: Mapping[int, int] = field(default_factory=dict)
    quotas: Sequence[Quota] = ()
    furthest: int | None = None

    def allowed(self) -> np.ndarray:
        """Return which unit may be at which step, (U, T) bool, without regard to quotas."""
        steps = np.arange(len(self.reference))
        home = places(self.reference[None])[0]
        result = np.ones((len(home), len(steps)), dtype=bool)
        if self.furthest is not None:
            result &= np.abs(steps - home[:, None]) <= self.furthest
        for unit, step in self.pinned.items():
            result[unit] &= steps == step
        return result

    def members(self, quota: Quota) -> np.ndarray:
        """Return which unit at which step counts for a quota, (U, T) bool."""
        steps = np.arange(len(self.reference))
        inside = (quota.first <= steps) & (steps <= quota.last)
        result: np.ndarray = (np.array(self.domains) == quota.domain)[:, None] & inside
        return result

    def violations(self, schedules: np.ndarray) -> np.ndarray:
        """Return how many units of each schedule (O, T, k) break the constraints, (O,)."""
        where = places(schedules)
        units = np.arange(where.shape[1])
        broken: np.ndarray = (~self.allowed()[units, where]).sum(axis=1)
        for quota in self.quotas:
            count = self.members(quota)[units, where].sum(axis=1)
            broken = broken + np.maximum(0, quota.least - count)
            if quota.most is not None:
                broken = broken + np.maximum(0, count - quota.most)
        return broken


def places(schedules: np.ndarray) -> np.ndarray:
    """Return the step of each unit (O, U) in schedules (O, T, k) that have each unit once."""
    count, _, width = schedules.shape
    flat = schedules.reshape(count, -1)
    steps: np.ndarray = np.argsort(flat, axis=1) // width
    return steps

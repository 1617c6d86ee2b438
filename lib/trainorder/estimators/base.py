"""What every estimator is: a way to replay schedules with approximated gradients."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import trange

from trainorder.optimizer import AdamW
from trainorder.path import Path
from trainorder.problem import Problem
from trainorder.table import GradientTable

CHUNK_NUMBERS = 2**20  # numbers in a scratch tensor of element-wise work: about a processor cache

Observe = Callable[[int, Tensor], None]


@dataclass
class Expansion:
    """What an estimator expands about; `table` is None for those that do not read it."""

    problem: Problem
    optimizer: AdamW
    path: Path
    table: GradientTable | None

    def gradients(self, t: int, units: Tensor) -> Tensor:
        """Return the mean table gradient of each order's units at step `t`.

        `units` is (O, k) int64; the result (O, P).
        """
        if self.table is None:
            raise ValueError("this estimator reads the gradient table, and none was opened")
        table = self.table.at(t)
        total = table[units[:, 0]]
        for column in units.T[1:]:
            total += table[column]
        return total / units.shape[1]


class Estimator(ABC):
    """Estimates the parameters at the window's end for many schedules at once."""

    def __init__(self, expansion: Expansion) -> None:
        """Expand about `expansion`."""
        self.expansion = expansion

    @abstractmethod
    def replay(self, schedules: Tensor, observe: Observe) -> Tensor:
        """Return the estimated final parameters.

        Args:
            schedules: (O, T, k) int64 unit indices.
            observe: called with t = 0 .. T and the parameters (O, P) before step t; T is the end.

        Returns:
            (O, P).

        """


class ExactReplay(Estimator):
    """Carries the moments along the new schedule; a subclass says what the gradients are."""

    @abstractmethod
    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Tensor:
        """Return the approximated gradients (O, P) of `units` (O, k) at `parameters` (O, P)."""

    def replay(self, schedules: Tensor, observe: Observe) -> Tensor:
        """Apply AdamW exactly to the approximated gradients of each step."""
        count, steps, _ = schedules.shape
        state = self.expansion.path.state(0).repeated(count)
        for t in trange(steps, desc=type(self).__name__, mininterval=2):
            observe(t, state.parameters)
            gradients = self.gradients(t, schedules[:, t], state.parameters)
            for rows in chunks(count, state.parameters.shape[1]):
                self.expansion.optimizer.update(state.rows(rows), gradients[rows])
            state.step += 1
        observe(steps, state.parameters)
        return state.parameters


def chunks(orders: int, size: int) -> list[slice]:
    """Divide the orders of a batch, of `size` numbers each, so that scratch tensors stay small."""
    step = max(1, CHUNK_NUMBERS // size)
    return [slice(start, start + step) for start in range(0, orders, step)]


def displacement(expansion: Expansion, t: int, parameters: Tensor) -> Tensor:
    """Return delta_t = parameters - theta_t, (O, P)."""
    return parameters - expansion.path.parameters(t)


def sum_over_units(units: Tensor) -> list[tuple[int, Tensor]]:
    """Return each unit of `units` (O, k) with the orders that visit it, once for each visit."""
    orders = torch.arange(len(units)).repeat_interleave(units.shape[1])
    flat = units.flatten()
    return [(unit, orders[flat == unit]) for unit in sorted(set(flat.tolist()))]

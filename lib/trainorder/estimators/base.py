"""What every estimator is: a way to replay schedules with approximated gradients."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from tqdm import trange

from trainorder.derivatives import gradient
from trainorder.optimizer import Optimizer, State
from trainorder.path import Centre
from trainorder.problem import Problem
from trainorder.table import GradientTable

CHUNK_NUMBERS = 2**20  # numbers in a scratch tensor of element-wise work: about a processor cache

Observe = Callable[[int, Tensor], None]


@dataclass
class Expansion:
    """What an estimator expands about; `table` is None for those that do not read it."""

    problem: Problem
    optimizer: Optimizer
    path: Centre
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
    """Carries the moments along the new schedule; a subclass says what the gradients are.

    Attributes:
        tail: steps at the end whose gradients are the true ones, at the estimate's own parameters.

    """

    tail = 0

    @abstractmethod
    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Tensor:
        """Return the approximated gradients (O, P) of `units` (O, k) at `parameters` (O, P)."""

    def replay(self, schedules: Tensor, observe: Observe) -> Tensor:
        """Apply the optimizer exactly to the approximated gradients of each step."""
        state = self.expansion.path.state(0).repeated(len(schedules))
        self.follow(state, schedules, 0, observe)
        return state.parameters

    def follow(self, state: State, schedules: Tensor, first: int, observe: Observe) -> None:
        """Advance `state` (O, P) in place from before step `first` to the end of `schedules`."""
        count, steps, _ = schedules.shape
        for t in trange(first, steps, desc=type(self).__name__, mininterval=2):
            observe(t, state.parameters)
            exact = t >= steps - self.tail
            gradients = (self.true_gradients if exact else self.gradients)(
                t, schedules[:, t], state.parameters
            )
            for rows in chunks(count, state.parameters.shape[1]):
                self.expansion.optimizer.update(state.rows(rows), gradients[rows])
            state.step += 1
        observe(steps, state.parameters)

    def true_gradients(self, t: int, units: Tensor, parameters: Tensor) -> Tensor:
        """Return the gradients (O, P) of `units` (O, k) at `parameters` (O, P), differentiated."""
        problem = self.expansion.problem
        problem.meter.add("gradients", units.numel())
        return torch.stack(
            [
                torch.stack([gradient(partial(problem.loss, unit=u), theta) for u in row]).mean(0)
                for row, theta in zip(units.tolist(), parameters, strict=True)
            ]
        )


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

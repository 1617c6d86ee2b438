"""What every estimator is: a way to replay schedules with approximated gradients."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor
from tqdm import trange

from trainorder.derivatives import gradient
from trainorder.optimizer import ALL, MOMENTS, Optimizer, State
from trainorder.path import Centre
from trainorder.problem import Problem
from trainorder.table import GradientTable

CHUNK_NUMBERS = 2**20  # numbers in a scratch tensor of element-wise work: about a processor cache

Observe = Callable[[int, Tensor], None]


@dataclass
class Expansion:
    """What an estimator expands about.

    Attributes:
        problem: the units' losses.
        optimizer: the update.
        path: the centre.
        table: None for those that do not read it.
        columns: the parameters that are looked at: all P, or a block of them.

    """

    problem: Problem
    optimizer: Optimizer
    path: Centre
    table: GradientTable | None
    columns: slice = field(default_factory=lambda: ALL)  # a slice has no hash

    def block(self, columns: slice) -> "Expansion":
        """Return the same of a block of the parameters, as far as path and table are read."""
        return replace(self, columns=columns)

    def state(self, t: int) -> State:
        """Return the path's state before step `t`, (P,) each."""
        return self.path.state(t, self.columns)

    def parameters(self, t: int) -> Tensor:
        """Return theta_t (P,)."""
        return self.path.parameters(t, self.columns)

    def gradients(self, t: int, units: Tensor) -> Tensor:
        """Return the mean table gradient of each order's units at step `t`.

        `units` is (O, k) int64; the result (O, P).
        """
        if self.table is None:
            raise ValueError("this estimator reads the gradient table, and none was opened")
        total = self.table.rows(t, units[:, 0], self.columns)
        for column in units.T[1:]:
            total += self.table.rows(t, column, self.columns)
        return total / units.shape[1]

    def copies(self, t: int, count: int) -> State:
        """Return `count` copies of the path's state before step `t`, (O, P) each.

        They are filled a block at a time, so that the path's own state is never held beside them.
        """
        first = self.path.state(t, slice(0, 0))
        theta, m, v = (first.parameters.new_empty(count, self.problem.size) for _ in MOMENTS)
        state = State(theta, m, v, first.step)
        for _, columns in parts(1, self.problem.size):
            block = self.path.state(t, columns)
            for name in MOMENTS:
                getattr(state, name)[:, columns] = getattr(block, name)
        return state


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
        state = self.expansion.copies(0, len(schedules))
        self.follow(state, schedules, 0, observe)
        return state.parameters

    def follow(self, state: State, schedules: Tensor, first: int, observe: Observe) -> None:
        """Advance `state` (O, P) in place from before step `first` to the end of `schedules`."""
        steps = schedules.shape[1]
        for t in trange(first, steps, desc=type(self).__name__, mininterval=2):
            observe(t, state.parameters)
            units = schedules[:, t]
            if t >= steps - self.tail:
                self._update(state, self.true_gradients(t, units, state.parameters))
            else:
                self.step(t, units, state)
            state.step += 1
        observe(steps, state.parameters)

    def step(self, t: int, units: Tensor, state: State) -> None:
        """Advance `state` (O, P) in place by step `t` of `units` (O, k), but for its count."""
        self._update(state, self.gradients(t, units, state.parameters))

    def _update(self, state: State, gradients: Tensor) -> None:
        for rows, columns in self.parts(state):
            part = state.rows(rows).columns(columns)
            self.expansion.optimizer.update(part, gradients[rows, columns])

    def parts(self, state: State) -> list[tuple[slice, slice]]:
        """Divide `state` (O, P) for the update; clipping needs the whole gradient of an order."""
        clipped = self.expansion.optimizer.config.gradient_clip is not None
        orders, size = state.parameters.shape
        return parts(orders, size, whole=clipped)

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


def parts(orders: int, size: int, whole: bool = False) -> list[tuple[slice, slice]]:
    """Divide the orders of a batch, of `size` numbers each, so that scratch tensors stay small.

    Returns rows and columns of (orders, size); with `whole`, no order is divided.
    """
    if size > CHUNK_NUMBERS and not whole:
        blocks = [slice(start, start + CHUNK_NUMBERS) for start in range(0, size, CHUNK_NUMBERS)]
        return [(slice(row, row + 1), columns) for row in range(orders) for columns in blocks]
    step = max(1, CHUNK_NUMBERS // size)
    return [(slice(start, start + step), ALL) for start in range(0, orders, step)]


def displacement(expansion: Expansion, t: int, parameters: Tensor) -> Tensor:
    """Return delta_t = parameters - theta_t, (O, P)."""
    return parameters - expansion.parameters(t)


def sum_over_units(units: Tensor) -> list[tuple[int, Tensor]]:
    """Return each unit of `units` (O, k) with the orders that visit it, once for each visit."""
    orders = torch.arange(len(units)).repeat_interleave(units.shape[1])
    flat = units.flatten()
    return [(unit, orders[flat == unit]) for unit in sorted(set(flat.tolist()))]

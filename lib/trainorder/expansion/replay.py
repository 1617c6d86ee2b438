"""The replay: the optimizer (AdamW or SGD) along a new schedule, with approximated gradients.

`ExactReplay` carries the moments m and v along the schedule. It applies the optimizer exactly to
the gradients that a subclass approximates. The update itself is in `training/optimizer.py`, because
the barycentre path and existing runs use it too. True retrainings use `torch.optim` and share
neither.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from tqdm import trange

from trainorder.expansion.expansion import Expansion
from trainorder.numerics import large_tensors
from trainorder.numerics.rows import Rows
from trainorder.training.optimizer import ALL, State
from trainorder.training.problem import add_mean_gradient

CHUNK_NUMBERS = 2**20  # numbers in a scratch tensor of element-wise work: about a CPU cache
Observe = Callable[[int, Tensor], None]
Block = Callable[[slice], Tensor]  # the (O, n) of n columns, out of (O, P)


class Estimator(ABC):
    """Estimates the parameters at the end of the window for many schedules at once."""

    def __init__(self, expansion: Expansion) -> None:
        """Expand around `expansion`."""
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
    """Carries the moments along the new schedule; a subclass defines `gradients`.

    Attributes:
        tail: number of last steps that use true gradients at the estimated parameters.

    """

    tail = 0

    @abstractmethod
    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Return the approximated gradients of `units` (O, k) at `parameters` (O, P)."""

    def replay(self, schedules: Tensor, observe: Observe) -> Tensor:
        """Apply the optimizer exactly to the approximated gradients of each step."""
        state = self.expansion.copies(0, len(schedules))
        self.follow(state, schedules, 0, observe)
        return state.parameters

    def follow(self, state: State, schedules: Tensor, first: int, observe: Observe) -> None:
        """Advance `state` (O, P) in place from before step `first` to the end of `schedules`.

        All orders start from the same state. Those with a common prefix are differentiated once.
        """
        steps = schedules.shape[1]
        alike = alike_until(schedules[:, first:], self._kinds(schedules))
        self._alike = dict(enumerate(alike, start=first))
        for t in trange(first, steps, desc="replay", mininterval=2):
            observe(t, state.parameters)
            exact = t >= steps - self.tail
            gradients = self.true_gradients if exact else self.gradients
            self._update(state, gradients(t, schedules[:, t], state.parameters))
            state.step += 1
        observe(steps, state.parameters)

    def _kinds(self, schedules: Tensor) -> Tensor:
        """Return numbers for each order, (O, m); orders that differ in one have other gradients."""
        return torch.zeros(len(schedules), 1, dtype=torch.int64)

    def differentiated(self, t: int, parameters: Tensor, each: Callable[[int], Tensor]) -> Block:
        """Return gradients that are computed order by order, once for orders alike until step `t`.

        Args:
            t: the step.
            parameters: (O, P).
            each: maps the row of an order to its gradient (P,).

        """
        rows, places = self._alike[t].unique(return_inverse=True)
        size, dtype = parameters.shape[1], parameters.dtype
        computed = Rows.stack((each(row) for row in rows.tolist()), len(rows), size, dtype)
        return lambda columns: computed.block(columns)[places]

    def _update(self, state: State, gradients: Block) -> None:
        optimizer, shape = self.expansion.optimizer, state.parameters.shape
        scale = self._clip_scale(shape, gradients)
        for columns in large_tensors.column_blocks(*shape):
            block = gradients(columns)
            if scale is not None:
                block = block * scale
            part, own = state.columns(columns), optimizer.columns(columns)
            for rows, inside in parts(*block.shape):
                own.columns(inside).apply(part.rows(rows).columns(inside), block[rows, inside])

    def _clip_scale(self, shape: Sequence[int], gradients: Block) -> Tensor | None:
        """Return the factor of the gradient of each order, (O, 1), if gradients are clipped."""
        if self.expansion.optimizer.config.gradient_clip is None:
            return None
        norms = [gradients(columns).norm(dim=1) for columns in large_tensors.column_blocks(*shape)]
        return self.expansion.optimizer.clip_scale(torch.stack(norms, 1).norm(dim=1, keepdim=True))

    def true_gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Return the gradients of `units` (O, k) at `parameters` (O, P), differentiated."""
        problem = self.expansion.problem

        def each(row: int) -> Tensor:
            total = large_tensors.zeros(parameters.shape[1], dtype=parameters.dtype)
            add_mean_gradient(problem, parameters[row], units[row].tolist(), total)
            return total

        return self.differentiated(t, parameters, each)


def alike_until(schedules: Tensor, kinds: Tensor) -> Tensor:
    """Return for each step and order the first order that is alike until that step, (T, O) int64.

    Orders are alike if they are of the same kind and consume the same units in the steps up to and
    including that one.

    Args:
        schedules: (O, T, k) int64.
        kinds: (O, m) int64; orders with the same numbers are of the same kind.

    Examples:
        >>> schedules = torch.tensor([[[3], [1]], [[3], [2]], [[3], [1]]])
        >>> alike_until(schedules, torch.zeros(3, 1, dtype=torch.int64)).tolist()
        [[0, 0, 0], [0, 1, 0]]

    """
    alike, rows = [], torch.arange(len(kinds))
    keys = kinds
    for units in schedules.unbind(1):
        _, groups = torch.cat([keys, units], dim=1).unique(dim=0, return_inverse=True)
        keys = groups[:, None]
        firsts = torch.full((len(rows),), len(rows)).scatter_reduce(0, groups, rows, "amin")
        alike.append(firsts[groups])
    return torch.stack(alike)


def parts(orders: int, size: int) -> list[tuple[slice, slice]]:
    """Divide (`orders`, `size`) numbers into rows and columns, so that scratch tensors stay small.

    A long order is divided alone; several short orders are divided together.
    """
    if size > CHUNK_NUMBERS:
        blocks = [slice(start, start + CHUNK_NUMBERS) for start in range(0, size, CHUNK_NUMBERS)]
        return [(slice(row, row + 1), columns) for row in range(orders) for columns in blocks]
    step = max(1, CHUNK_NUMBERS // size)
    return [(slice(start, start + step), ALL) for start in range(0, orders, step)]


def displacement(
    expansion: Expansion, t: int, parameters: Tensor, result: Tensor | None = None
) -> Tensor:
    """Return delta_t = parameters - theta_t, (O, P), in `result` if it is given."""
    if result is None:
        result = large_tensors.empty(*parameters.shape, dtype=parameters.dtype)
    for columns in large_tensors.column_blocks(*parameters.shape):
        theta = expansion.block(columns).parameters(t)
        torch.sub(parameters[:, columns], theta, out=result[:, columns])
    return result


def sum_over_units(units: Tensor) -> list[tuple[int, Tensor]]:
    """Return each unit of `units` (O, k) with the orders that visit it, once for each visit."""
    orders = torch.arange(len(units)).repeat_interleave(units.shape[1])
    flat = units.flatten()
    return [(unit, orders[flat == unit]) for unit in sorted(set(flat.tolist()))]

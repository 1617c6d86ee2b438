"""What an estimator expands about: problem, optimizer, path and gradient table."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from trainorder.expansion.gradient_table import GradientTable
from trainorder.expansion.path import ExpansionPath
from trainorder.numerics import large_tensors
from trainorder.training.optimizer import ALL, MOMENTS, Optimizer, State
from trainorder.training.problem import Problem


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
    path: ExpansionPath
    table: GradientTable | None
    columns: slice = field(default_factory=lambda: ALL)  # a slice has no hash

    @property
    def dtype(self) -> torch.dtype:
        """That of the path."""
        return self.path.parameters(0, slice(0, 0)).dtype

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
        shape = (count, self.problem.size)
        theta, m, v = (large_tensors.empty(*shape, dtype=self.dtype) for _ in MOMENTS)
        state = State(theta, m, v, self.path.first_step + t)
        for columns in large_tensors.column_blocks(count, self.problem.size):
            block = self.path.state(t, columns)
            for name in MOMENTS:
                getattr(state, name)[:, columns] = getattr(block, name)
        return state

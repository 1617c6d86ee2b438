"""The expansion that an estimator uses: problem, optimizer, path and gradient table."""

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
    """The problem, the optimizer, the expansion path and the gradient table along it.

    Attributes:
        problem: the units' losses.
        optimizer: the update.
        path: the expansion path.
        table: the gradient table; None for estimators that do not read it.
        columns: the block of the parameters that is read, or all P.

    """

    problem: Problem
    optimizer: Optimizer
    path: ExpansionPath
    table: GradientTable | None
    columns: slice = field(default_factory=lambda: ALL)  # a slice has no hash

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the path."""
        return self.path.parameters(0, slice(0, 0)).dtype

    def block(self, columns: slice) -> "Expansion":
        """Return an expansion that reads only a block of the parameters from path and table."""
        return replace(self, columns=columns, optimizer=self.optimizer.columns(columns))

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
            raise ValueError("this estimator needs the gradient table, but `table` is None")
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

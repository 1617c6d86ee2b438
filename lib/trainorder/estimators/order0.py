"""`order0`: exact replay of the gradients at the path, as if they did not depend on parameters."""

from torch import Tensor

from trainorder.estimators.base import ExactReplay
from trainorder.optimizer import State


class Order0(ExactReplay):
    """g_t = G[t, sigma_t] (DESIGN section 2, order 0)."""

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Tensor:
        """Read the table; `parameters` do not matter."""
        return self.expansion.gradients(t, units)

    def step(self, t: int, units: Tensor, state: State) -> None:
        """Read the table and update, a block of parameters at a time: none needs the others."""
        for rows, columns in self.parts(state):
            part, about = state.rows(rows).columns(columns), self.expansion.block(columns)
            gradients = Order0(about).gradients(t, units[rows], part.parameters)
            about.optimizer.update(part, gradients)

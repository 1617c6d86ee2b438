"""`order0`: exact replay of the gradients at the path, as if they did not depend on parameters."""

from torch import Tensor

from trainorder.expansion.replay import Block, ExactReplay


class Order0(ExactReplay):
    """g_t = G[t, sigma_t] (DESIGN section 2, order 0)."""

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Read the table; `parameters` do not matter."""
        return lambda columns: self.expansion.block(columns).gradients(t, units)

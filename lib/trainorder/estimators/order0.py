"""`order0`: exact replay of the gradients on the path, without any curvature."""

from torch import Tensor

from trainorder.expansion.replay import Block, ExactReplay


class Order0(ExactReplay):
    """g_t = G[t, sigma_t] (`docs/method`, order 0)."""

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Read the table; the gradients do not depend on `parameters`."""
        return lambda columns: self.expansion.block(columns).gradients(t, units)

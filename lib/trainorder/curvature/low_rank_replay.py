"""Replay with the low-rank expansion: order 1 with the curvature of each unit's cluster."""

from torch import Tensor

from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.replay import Block, ExactReplay


class LowRankReplay(ExactReplay):
    """g_t = gbar_t + Q' (a_{t,s} + M_c Q d), see `curvature.low_rank`."""

    def __init__(self, expansion: Expansion, model: LowRankExpansion) -> None:
        """Expand about the path of `model`, which is that of `expansion`."""
        super().__init__(expansion)
        self.model = model

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Evaluate the low-rank expansion."""
        return self.model.gradients(t, units, parameters)

"""Replay with the low-rank expansion: order 1 with the curvature of clusters and units."""

from torch import Tensor

from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.replay import Block, ExactReplay


class LowRankReplay(ExactReplay):
    """g_t = gbar_t + Q' [a_{t,s} + (M_c + D_s' E) Q_r d], see `curvature.low_rank`."""

    def __init__(self, expansion: Expansion, model: LowRankExpansion) -> None:
        """Expand about the path of `model`, which must be the path of `expansion`."""
        super().__init__(expansion)
        self.model = model

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Return the gradients (O, P) of the low-rank expansion."""
        return self.model.gradients(t, units, parameters)

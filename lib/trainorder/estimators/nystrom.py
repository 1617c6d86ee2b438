"""`nystrom`: order 1 with the low-rank curvature of each unit's cluster."""

from torch import Tensor

from trainorder.estimators.base import Block, ExactReplay, Expansion
from trainorder.lowrank import LowRank


class Nystrom(ExactReplay):
    """g_t = gbar_t + Q' (a_{t,s} + M_c Q d), see `trainorder.lowrank`."""

    def __init__(self, expansion: Expansion, model: LowRank) -> None:
        """Expand about the path of `model`, which is that of `expansion`."""
        super().__init__(expansion)
        self.model = model

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Evaluate the low-rank expansion."""
        return self.model.gradients(t, units, parameters)

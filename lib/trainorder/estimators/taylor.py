"""Exact Taylor expansion of each unit's own gradient, differentiated at replay."""

from functools import partial

import torch
from torch import Tensor

from trainorder.derivatives import taylor_gradients
from trainorder.estimators.base import ExactReplay, displacement, sum_over_units


class Taylor(ExactReplay):
    """g_t = G[t, s] + H_s d + ... for s = sigma_t and d = gamma_t - theta_t, up to `order`."""

    order: int

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Tensor:
        """Expand the loss of each visited unit once, for all orders that visit it at `t`."""
        problem = self.expansion.problem
        deltas = displacement(self.expansion, t, parameters)
        centre = self.expansion.path.parameters(t)
        result = torch.zeros_like(parameters)
        for unit, orders in sum_over_units(units):
            terms = taylor_gradients(
                partial(problem.loss, unit=unit),
                centre,
                deltas[orders],
                self.order,
            )
            result.index_add_(0, orders, terms, alpha=1 / units.shape[1])
            self._count(len(orders))
        return result

    def _count(self, displacements: int) -> None:
        meter = self.expansion.problem.meter
        meter.add("gradients")
        meter.add("hvps", displacements)
        if self.order > 1:
            meter.add("third_derivatives", displacements)

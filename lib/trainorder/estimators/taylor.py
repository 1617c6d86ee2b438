"""Exact Taylor expansion of each unit's own gradient, differentiated at replay."""

from functools import cached_property, partial

from torch import Tensor

from trainorder.expansion.replay import Block, ExactReplay, displacement, sum_over_units, whole
from trainorder.numerics import vectors
from trainorder.numerics.derivatives import (
    differenced_gradients,
    is_twice_differentiable,
    taylor_gradients,
)


class Taylor(ExactReplay):
    """g_t = G[t, s] + H_s d + ... for s = sigma_t and d = gamma_t - theta_t, up to `order`."""

    order: int

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Expand the loss of each visited unit once, for all orders that visit it at `t`."""
        problem = self.expansion.problem
        centre = self.expansion.parameters(t)
        expand = taylor_gradients if self._by_autograd else differenced_gradients
        result = vectors.zeros(*parameters.shape, dtype=parameters.dtype)
        for unit, orders in sum_over_units(units):
            places = orders.tolist()
            terms = expand(
                partial(problem.loss, unit=unit),
                centre,
                (displacement(self.expansion, t, parameters[order][None])[0] for order in places),
                self.order,
            )
            for order, term in zip(places, terms, strict=True):
                result[order].add_(term, alpha=1 / units.shape[1])
                del term  # not held while the next one is computed
                vectors.forget()
            self._count(len(orders))
        return whole(result)

    @cached_property
    def _by_autograd(self) -> bool:
        """Whether the model can be differentiated twice, judged once, at the window's beginning."""
        loss = partial(self.expansion.problem.loss, unit=0)
        return is_twice_differentiable(loss, self.expansion.parameters(0))

    def _count(self, displacements: int) -> None:
        meter = self.expansion.problem.meter
        meter.add("gradients")
        meter.add("hvps", displacements)
        if self.order > 1:
            meter.add("third_derivatives", displacements)

"""`taylor1` and `taylor2`: exact Taylor expansion of each unit's gradient, computed at replay.

They show what expansions of order 1 and 2 can reach; both cost more than retraining.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property, partial

from torch import Tensor

from trainorder.estimators.second_derivatives import has_second_derivatives
from trainorder.expansion.replay import Block, ExactReplay, displacement, sum_over_units
from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import (
    differenced_gradients,
    taylor_gradients,
)


class Taylor(ExactReplay):
    """g_t = G[t, s] + H_s d + ... for s = sigma_t and d = gamma_t - theta_t, up to `order`."""

    order: int

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Expand the loss of each visited unit once, for all orders that visit it at step `t`."""
        problem = self.expansion.problem
        theta = self.expansion.parameters(t)
        expand = taylor_gradients if self._by_autograd else differenced_gradients
        result = large_tensors.zeros(*parameters.shape, dtype=parameters.dtype)
        for unit, orders in sum_over_units(units):
            rows = orders.tolist()
            terms = expand(
                partial(problem.loss, unit=unit),
                theta,
                self._displacements(t, (parameters[row][None] for row in rows)),
                self.order,
            )
            for row, term in zip(rows, terms, strict=True):
                result[row].add_(term, alpha=1 / units.shape[1])
                del term  # frees its memory before the next one is computed
                large_tensors.release_pages()
        return lambda columns: result[:, columns]

    def _displacements(self, t: int, parameters: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield the displacements (P,) of `parameters` (1, P), and count their derivatives.

        A displacement of zero needs no derivative, and differences of gradients count themselves.
        """
        for one in parameters:
            delta = displacement(self.expansion, t, one)[0]
            if self._by_autograd and delta.any():
                self._count("hvps")
                if self.order > 1:
                    self._count("third_derivatives")
            yield delta

    @cached_property
    def _by_autograd(self) -> bool:
        """Whether autograd can differentiate the model twice, tested once."""
        return has_second_derivatives(self.expansion)

    def _count(self, kind: str) -> None:
        problem = self.expansion.problem
        problem.meter.add(kind, problem.sequences)


class Taylor1(Taylor):
    """g_t = G[t, s] + H_s d, with exact Hessian-vector products (`docs/method`, order 1)."""

    order = 1


class Taylor2(Taylor):
    """g_t = G[t, s] + H_s d + (1/2) D^3 L_s [d, d], all exact (`docs/method`, order 2)."""

    order = 2

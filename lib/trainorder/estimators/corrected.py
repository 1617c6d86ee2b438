"""`corrected`: gradients of a few sequences of each unit, corrected where known runs have more."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainorder.expansion.expansion import Expansion
from trainorder.expansion.known_runs import KnownRuns
from trainorder.expansion.replay import Block, ExactReplay
from trainorder.numerics.derivatives import gradient


class Corrected(ExactReplay):
    """g_t = mean over units u of step t of  g_b(gamma, u) + [g_u(P_u) - g_b(P_u)].

    g_b is the gradient of b of the unit's sequences, and P_u is where a known run consumed the
    unit. The bracket is the residual of the subsample there. The estimate is exact along the
    reference run and for whole units, and unbiased over the draw of the subsamples. Its error is
    the sampling noise of b sequences of the change of the gradient from P_u to gamma. Several
    visits of a unit are combined by the weights of `combination_weights`. A calibration order that
    is a known run is estimated without its own visits, so that its error is that of other orders.

    With units of one sequence, b of the units of a step are evaluated instead:
    g_t = mean over all units of g_u(P_u) + mean over the b units of [g_u(gamma) - g_u(P_u)].

    Attributes:
        runs: the known runs, with the residuals of subsamples of this size.
        size: b.
        seed: of the units that are evaluated, if units have one sequence.

    """

    def __init__(self, expansion: Expansion, runs: KnownRuns, size: int, seed: int) -> None:
        super().__init__(expansion)
        self.runs, self.size, self.seed = runs, size, seed
        [self._residuals] = runs.residuals.values()

    def _kinds(self, schedules: Tensor) -> Tensor:
        """Leave out the visits of known runs that follow the same schedules."""
        self._excluded = self.runs.followed_by(schedules)
        return self._excluded.long()

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Differentiate the subsamples at `parameters`, and add the residuals of known visits."""
        evaluated = self._evaluated(t, units)

        def each(row: int) -> Tensor:
            return self._sampled(units[row][evaluated[row]], parameters[row])

        sampled = self.differentiated(t, parameters, each)
        visits, weights = self.runs.visits_near(units, parameters, self._excluded)
        weights = (weights * self._shares(evaluated, weights.dtype)[..., None]).flatten(1)

        def block(columns: slice) -> Tensor:
            result, residuals = sampled(columns), self._residuals.block(columns)
            for visit, weight in zip(visits.flatten(1).T, weights.T, strict=True):
                result.addcmul_(residuals[visit], weight[:, None])
            return result

        return block

    @property
    def _units_are_sampled(self) -> bool:
        """Whether the units of a step are sampled, instead of the sequences of each unit."""
        return self.expansion.problem.sequences == 1

    def _evaluated(self, t: int, units: Tensor) -> Tensor:
        """Return which of `units` (O, k) are evaluated at step `t`, a boolean tensor (O, k)."""
        if not self._units_are_sampled:
            return torch.ones_like(units, dtype=torch.bool)
        # The same random ranks for all orders, so that orders with equal steps get equal gradients.
        ranks = np.random.default_rng([self.seed, t]).permutation(self.expansion.problem.units)
        places = torch.from_numpy(ranks)[units].argsort(dim=1, stable=True).argsort(dim=1)
        return places < self.size

    def _sampled(self, units: Tensor, theta: Tensor) -> Tensor:
        """Return the mean gradient (P,) of the subsamples of `units` (n,) at `theta` (P,)."""
        problem = self.expansion.problem
        rows = self.runs.sequences(units, min(self.size, problem.sequences))
        return gradient(partial(problem.sample_loss, rows=rows), theta)

    def _shares(self, evaluated: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the factor of each unit's residual in the gradient of its step, (O, k)."""
        shares = torch.full(evaluated.shape, 1 / evaluated.shape[1], dtype=dtype)
        if self._units_are_sampled:  # the residual is the whole gradient, so it is also subtracted
            shares -= evaluated.to(dtype) / self.size
        return shares

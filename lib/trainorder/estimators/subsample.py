"""`subsample`: true gradients of a part of each unit, the low-rank curvature for the rest."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.probing import probe_schedules, second_moment_scale
from trainorder.estimators.nystrom import Nystrom
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.replay import Block, ExactReplay
from trainorder.numerics import vectors
from trainorder.numerics.derivatives import gradient
from trainorder.numerics.interpolation import interpolated
from trainorder.numerics.shrinkage import split_noise

_CHECKED = 6  # displacements that the weight is estimated from


class Subsample(ExactReplay):
    """g_t = G[t, s] + (1 - w) H_c d + w [g_b(gamma) - g_b(theta_t)], b the first n sequences of s.

    All orders of Taylor, of a part of the unit's text. w says how far the part's change is to be
    believed against that of the low-rank curvature: w = 1 - noise / total, where total is the
    square of what the two differ by, and noise that of the part's own sampling error, from split
    halves with the correction (1 - n / S) for drawing n of S sequences without replacement. So n
    picks the point between free (n = 0 would be `nystrom`) and exact (n = S gives g(gamma) itself).

    The gradients g_b(theta_t) are cached at the anchors, and interpolated as the table is.
    """

    def __init__(self, expansion: Expansion, model: LowRankExpansion, size: int, seed: int) -> None:
        """Cache the centre gradients of the first `size` sequences of every unit."""
        super().__init__(expansion)
        self.model, self.size = model, size
        if expansion.table is None:
            raise ValueError("this estimator reads the gradient table, and none was opened")
        with expansion.problem.meter.time("precompute"):
            self._anchors = expansion.path.anchors
            self._centre = self._parts()
            self.belief = self._belief(seed)

    def _parts(self) -> Tensor:
        """Return the gradients (K, U, P) of every unit's part at the path."""
        path, problem = self.expansion.path, self.expansion.problem
        shape = (len(self._anchors), problem.units)
        rows = (
            self._gradient(torch.tensor([unit]), theta)
            for theta in map(path.parameters, self._anchors.tolist())
            for unit in range(problem.units)
        )
        made = vectors.stacked(rows, (shape[0] * shape[1], problem.size), self.expansion.dtype)
        result: Tensor = made.unflatten(0, shape)
        return result

    def _gradient(self, units: Tensor, theta: Tensor, half: slice = slice(None)) -> Tensor:
        problem = self.expansion.problem
        rows = first_sequences(units, self.size)[half]
        problem.meter.add("sequences", len(rows))
        return gradient(partial(problem.sample_loss, rows=rows), theta)

    def _belief(self, seed: int) -> float:
        """Return w, from a few displacements of replays with the low-rank curvature."""
        problem, path = self.expansion.problem, self.model
        left_out = 1 - self.size / problem.sequences
        if left_out == 0 or self.size == 1:
            return 1 - left_out  # nothing is left out; or there are no halves to compare
        metric, middle = second_moment_scale(self.expansion), path.steps // 2
        reached: list[Tensor] = []

        def observe(t: int, parameters: Tensor) -> None:
            if t == middle:
                reached.append(vectors.copied(parameters))

        shape = (path.steps, 1)
        schedules = probe_schedules(shape, problem.units, seed)[:_CHECKED]
        about = Expansion(problem, self.expansion.optimizer, path, None)
        Nystrom(about, self.model).replay(schedules, observe)
        centre = path.parameters(middle)
        noise = total = 0.0
        for units, theta in zip(schedules[:, middle], reached[0], strict=True):
            halves = vectors.empty(2, len(theta), dtype=theta.dtype)
            for row, half in zip(halves, (slice(0, None, 2), slice(1, None, 2)), strict=True):
                row.copy_(self._gradient(units, theta, half))
                row.sub_(self._gradient(units, centre, half))
            bent = self.model.curvature(middle, units[None], theta[None])
            for columns in vectors.blocks(2, len(theta)):
                found = halves[:, columns] / metric[columns]
                noise += left_out * float(split_noise(*found))
                own = bent(columns)[0] / metric[columns]
                total += float(((found.mean(0) - own) ** 2).sum())
        if not total:  # nothing moves, or all that moves is foreseen
            return 1 - left_out
        return max(0.0, 1 - noise / total)

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Differentiate the parts at `parameters`, and correct with what is cached."""
        rows = (self._gradient(*one) for one in zip(units, parameters, strict=True))
        moved = vectors.stacked(rows, parameters.shape, parameters.dtype)
        bent = self.model.curvature(t, units, parameters) if self.belief < 1 else None

        def block(columns: slice) -> Tensor:
            result = self.expansion.block(columns).gradients(t, units)
            change = moved[:, columns] - self._between(t, units, columns)
            result.add_(change, alpha=self.belief)
            return result if bent is None else result.add_(bent(columns), alpha=1 - self.belief)

        return block

    def _between(self, t: int, units: Tensor, columns: slice) -> Tensor:
        """Return the mean gradient (O, n) of the parts of `units` (O, k) at the path."""

        def at(place: int) -> Tensor:
            return self._centre[place][:, columns][units].mean(1)

        return interpolated(self._anchors, t, at)


def first_sequences(units: Tensor, size: int) -> np.ndarray:
    """Return the first `size` sequences of each of `units` (k,): (k size, 2), unit and sequence."""
    each = np.repeat(units.numpy(), size)
    return np.stack([each, np.tile(np.arange(size), len(units))], axis=1)

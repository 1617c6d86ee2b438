"""`subsample`: true gradients of a part of each unit, and low-rank curvature for the rest."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.estimators.nystrom import Nystrom
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.replay import Block, ExactReplay
from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import gradient
from trainorder.numerics.interpolation import interpolated
from trainorder.numerics.rows import Rows, blocks
from trainorder.numerics.shrinkage import split_noise

DISPLACEMENTS = 6  # that the weight is estimated from


class Subsample(ExactReplay):
    """g_t = G[t, s] + (1 - w) H_c d + w [g_b(gamma) - g_b(theta_t)], b the first n sequences of s.

    The bracket holds all orders of the Taylor expansion, but for n of the unit's S sequences only.
    w weighs it against the low-rank curvature: w = 1 - noise / total. `total` is the square of
    their difference, and `noise` that of the sampling error of n sequences, from split halves with
    the correction (1 - n / S) for sampling without replacement. So n chooses a point between the
    cheapest estimator (n = 0 would be `nystrom`) and an exact one (n = S gives g(gamma) itself).

    The gradients g_b(theta_t) are cached at the anchors, and interpolated like the gradient table.

    Attributes:
        model: the low-rank expansion.
        size: n.
        weight: w, between 0 and 1.

    """

    def __init__(self, expansion: Expansion, model: LowRankExpansion, size: int, seed: int) -> None:
        """Cache the gradients on the path and estimate the weight.

        Args:
            expansion: with a gradient table.
            model: the low-rank expansion about the same path.
            size: n, the first sequences of each unit that are differentiated.
            seed: of the schedules whose replays give the displacements for the weight.

        """
        super().__init__(expansion)
        self.model, self.size = model, size
        if expansion.table is None:
            raise ValueError("`subsample` needs the gradient table; open it with the expansion")
        with expansion.problem.meter.time("precompute"):
            self._anchors = expansion.path.anchors
            self._path_gradients = self._at_anchors()
            self.weight = self._estimated_weight(seed)

    def _at_anchors(self) -> list[Rows]:
        """Return the gradients, K of (U, P), of the first n sequences of every unit on the path."""
        path, problem = self.expansion.path, self.expansion.problem
        gradients = (
            self._gradient(torch.tensor([unit]), theta)
            for theta in map(path.parameters, self._anchors.tolist())
            for unit in range(problem.units)
        )
        n = len(self._anchors) * problem.units
        rows = Rows.stack(gradients, n, problem.size, self.expansion.dtype)
        return rows.split(len(self._anchors))

    def _gradient(self, units: Tensor, theta: Tensor, half: slice = slice(None)) -> Tensor:
        """Return the mean gradient (P,) of the first n sequences of `units` (k,), or of half."""
        problem = self.expansion.problem
        rows = first_sequences(units, self.size)[half]
        return gradient(partial(problem.sample_loss, rows=rows), theta)

    def _estimated_weight(self, seed: int) -> float:
        """Return w, from a few displacements that replays with the low-rank curvature reach."""
        missing_share = 1 - self.size / self.expansion.problem.sequences
        if missing_share == 0 or self.size == 1:
            return 1 - missing_share  # all sequences are used; or one has no halves to compare
        metric, middle = second_moment_scale(self.expansion), self.model.steps // 2
        schedules, displaced = self._displaced(middle, seed)
        noise = total = 0.0
        for units, theta in zip(schedules[:, middle], displaced, strict=True):
            halves = self._halves(units, theta, middle)
            low_rank = self.model.curvature(middle, units[None], theta[None])
            for gradients, modelled, scale in blocks(halves, low_rank, metric):
                changes = gradients / scale
                noise += missing_share * float(split_noise(*changes))
                total += float(((changes.mean(0) - modelled[0] / scale) ** 2).sum())
        if not total:  # no displacement, or the low-rank curvature predicts all changes
            return 1 - missing_share
        return max(0.0, 1 - noise / total)

    def _displaced(self, step: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return schedules (n, T, 1), and the parameters (n, P) of their replays before `step`."""
        problem, model = self.expansion.problem, self.model
        schedules = probe_schedules((model.steps, 1), problem.units, seed)[:DISPLACEMENTS]
        copies: list[Tensor] = []

        def observe(t: int, parameters: Tensor) -> None:
            if t == step:
                copies.append(large_tensors.copy(parameters))

        expansion = Expansion(problem, self.expansion.optimizer, model, None)
        Nystrom(expansion, model).replay(schedules, observe)
        return schedules, copies[0]

    def _halves(self, units: Tensor, theta: Tensor, step: int) -> Rows:
        """Return the gradient changes (2, P) of both halves of the sequences, path to `theta`."""
        path_parameters = self.model.parameters(step)
        changes = Rows.empty(2, len(theta), dtype=theta.dtype)
        for i, half in enumerate((slice(0, None, 2), slice(1, None, 2))):
            change = self._gradient(units, theta, half)
            changes[i] = change.sub_(self._gradient(units, path_parameters, half))
        return changes

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Differentiate n sequences of each unit at `parameters`, and correct what is cached."""
        sampled = self.differentiated(
            t, parameters, lambda row: self._gradient(units[row], parameters[row])
        )
        low_rank = self.model.curvature(t, units, parameters) if self.weight < 1 else None

        def block(columns: slice) -> Tensor:
            result = self.expansion.block(columns).gradients(t, units)
            change = sampled(columns) - self._on_path(t, units, columns)
            result.add_(change, alpha=self.weight)
            if low_rank is None:
                return result
            return result.add_(low_rank(columns), alpha=1 - self.weight)

        return block

    def _on_path(self, t: int, units: Tensor, columns: slice) -> Tensor:
        """Return the mean gradient (O, n) of the sequences of `units` (O, k) on the path."""

        def at(anchor: int) -> Tensor:
            return self._path_gradients[anchor].block(columns)[units].mean(1)

        return interpolated(self._anchors, t, at)


def first_sequences(units: Tensor, size: int) -> np.ndarray:
    """Return unit and sequence (k size, 2) of the first `size` sequences of each of `units` (k,).

    Examples:
        >>> first_sequences(torch.tensor([4, 1]), 2).tolist()
        [[4, 0], [4, 1], [1, 0], [1, 1]]

    """
    each = np.repeat(units.numpy(), size)
    return np.stack([each, np.tile(np.arange(size), len(units))], axis=1)

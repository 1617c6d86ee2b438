"""Chooses the directions in which the curvature is probed, and measures the responses.

The probes are chosen in rounds: first the principal directions of the displacements that replays of
random orders reach without curvature; then the directions to which the goals are sensitive
(dual-weighted residuals, Becker and Rannacher 2001); then, greedily, the displacements of replays
with the current curvature that its probes do not reach. See `docs/method`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainorder.config.sections import CurvatureConfig
from trainorder.curvature.cluster_curvature import ClusterCurvature, CurvatureAlongPath, Responses
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.curvature.sensitivities import sensitivities
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.replay import Block, ExactReplay, displacement
from trainorder.numerics import large_tensors
from trainorder.numerics.gram import principal

_STEP = 0.3  # of a typical displacement: the length of the finite differences
_CHECKED = 2  # displacements of the check schedule that the error is estimated from


class CurvedReplay(ExactReplay):
    """g_t = G[t, u] + H_c d with the curvature measured so far; order 0 before the first probes."""

    def __init__(self, expansion: Expansion, curvature: CurvatureAlongPath, labels: Tensor) -> None:
        """Replay around `expansion`; `labels` (U,) are the clusters of the units."""
        super().__init__(expansion)
        self.curvature, self.labels = curvature, labels

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Return the table's gradients plus the curvature of each unit's cluster."""
        terms: list[Block] = []
        if self.curvature.rank and t:
            deltas = displacement(self.expansion, t, parameters)
            terms = [self.curvature.apply(t, deltas, self.labels[column]) for column in units.T]

        def block(columns: slice) -> Tensor:
            result = self.expansion.block(columns).gradients(t, units)
            for term in terms:
                result.add_(term(columns), alpha=1 / len(terms))
            return result

        return block


@dataclass(frozen=True)
class Round:
    """One round of probing: the rank after it, and the estimated error before it."""

    kind: str
    rank: int
    error: float | None


class Prober:
    """Chooses probes and measures the clusters' responses to them."""

    def __init__(
        self, expansion: Expansion, clusters: Clusters, schedules: Tensor, anchors: int
    ) -> None:
        """Probe at `anchors` steps for replays of `schedules` (O, T, k); the last is a check."""
        self.expansion = expansion
        self.labels = torch.from_numpy(clusters.labels)
        self.schedules, self.check = schedules[:-1], schedules[-1:]
        steps = expansion.path.steps
        centres = np.array([steps * (2 * i + 1) // (2 * anchors) for i in range(anchors)])
        self.curvature = CurvatureAlongPath(
            centres, [ClusterCurvature(expansion.problem, clusters) for _ in centres]
        )
        self.metric = second_moment_scale(expansion)
        self.rounds: list[Round] = []
        self.length = _STEP * float(large_tensors.squared_norms(self.displacements()).sqrt().mean())
        self.responses = [
            Responses(expansion.problem, clusters, expansion.path.parameters(int(t)), self.length)
            for t in centres
        ]

    def run(self, config: CurvatureConfig) -> CurvatureAlongPath:
        """Probe until the estimated error is within the tolerance, or the rank is reached."""
        step = max(1, config.rank // 4)
        self._take("displacements", principal(self.displacements(), self.metric, 2 * step), None)
        goals = sensitivities(self.expansion, self.curvature.middle)
        goals = self.curvature.middle.remainder(goals)
        self._take("goals", principal(goals, self.metric, step), None)
        while self.curvature.rank < config.rank:
            error = self.error()
            if error <= config.tolerance:
                self.rounds.append(Round("check", self.curvature.rank, error))
                break
            missed = self.curvature.middle.remainder(self.displacements())
            left = config.rank - self.curvature.rank
            count = left if left < 2 * step else step  # no round for a few probes
            probes = principal(missed, self.metric, count)
            if not len(probes):
                break
            self._take("greedy", probes, error)
        return self.curvature

    def _take(self, kind: str, probes: Tensor, error: float | None) -> None:
        for curvature, responses in zip(self.curvature.at, self.responses, strict=True):
            curvature.add(probes, responses(probes))
        self.rounds.append(Round(kind, self.curvature.rank, error))

    def displacements(self, schedules: Tensor | None = None) -> Tensor:
        """Return the displacements (n, P) of replays with the current curvature.

        They are taken at six steps of the window, for `schedules` (O, T, k) or the probe schedules.
        """
        schedules = self.schedules if schedules is None else schedules
        steps, count = self.expansion.path.steps, len(schedules)
        places = sorted({max(1, steps * i // 6) for i in (1, 2, 3, 4, 5, 6)})
        shape = (len(places), count, self.expansion.problem.size)
        kept = large_tensors.empty(*shape, dtype=self.metric.dtype)

        def observe(t: int, parameters: Tensor) -> None:
            if t in places:
                displacement(self.expansion, t, parameters, kept[places.index(t)])

        replay = CurvedReplay(self.expansion, self.curvature, self.labels)
        replay.replay(schedules, observe)
        return kept.flatten(0, 1)

    def error(self) -> float:
        """Return an a-posteriori estimate of the relative error of the curvature.

        |H_c d - (H_c d)_estimated| / |H_c d| in the metric of the preconditioner, over all clusters
        and a few displacements of replays that the probes were not chosen from. What is measured is
        shrunk as the estimate is: probes cannot reduce the part that is shrunk away as noise.
        """
        reached = self.displacements(self.check)
        deltas = reached[:: max(1, len(reached) // _CHECKED)][:_CHECKED]
        middle = self.curvature.middle
        halves = self.responses[len(self.responses) // 2](deltas)
        clusters = range(halves.shape[1])
        estimates = [middle.apply(deltas, torch.full((len(deltas),), c)) for c in clusters]
        wrong = total = 0.0
        for columns in large_tensors.column_blocks(halves.shape[:3].numel(), halves.shape[3]):
            exact, metric = halves[..., columns].mean(0), self.metric[columns]
            common = torch.einsum("c,cnp->np", middle.shares.to(exact.dtype), exact)
            for c, own in enumerate(exact):
                row = torch.lerp(common, own, float(middle.factors[c]))
                wrong += float(((estimates[c](columns) - row) / metric).norm()) ** 2
                total += float((row / metric).norm()) ** 2
        return float((wrong / total) ** 0.5)

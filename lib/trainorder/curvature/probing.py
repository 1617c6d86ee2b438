"""Chooses the directions in which the curvature is probed, and measures the responses.

The probes are chosen in rounds:

1. the principal directions of the displacements of replays of random orders without curvature;
2. the directions to which the goals are sensitive (dual-weighted residuals, Becker and Rannacher
   2001);
3. in each further round, the principal directions of what the probes so far miss of the
   displacements of replays with the current curvature.

See `docs/method`, "Probes".
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainorder.curvature.cluster_curvature import ClusterCurvature, CurvatureAlongPath, Responses
from trainorder.curvature.curvature_counts import CHECKED
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.curvature.probe_rounds import ProbeRounds
from trainorder.curvature.sensitivities import sensitivities
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.replay import Block, ExactReplay, displacement
from trainorder.numerics.gram import principal
from trainorder.numerics.rows import Rows, blocks

LARGEST = "curvature.rank is reached"
WITHIN_TOLERANCE = "the estimated error is within curvature.tolerance"
SPANNED = "the probes span all displacements of replays"
DISPLACED_STEPS = 6  # steps of a replay at which displacements are taken
_STEP = 0.3  # length of the finite differences, relative to a typical displacement


class CurvedReplay(ExactReplay):
    """g_t = G[t, u] + H_c d with the curvature measured so far; order 0 before the first probes."""

    def __init__(self, expansion: Expansion, curvature: CurvatureAlongPath, labels: Tensor) -> None:
        """Replay about the path of `expansion`; `labels` (U,) are the clusters of the units."""
        super().__init__(expansion)
        self.curvature, self.labels = curvature, labels

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Return the table's gradients plus the curvature of each unit's cluster."""
        terms: list[Block] = []
        if self.curvature.rank and t:
            deltas = Rows(displacement(self.expansion, t, parameters))
            terms = [self.curvature.apply(t, deltas, self.labels[column]) for column in units.T]

        def block(columns: slice) -> Tensor:
            result = self.expansion.block(columns).gradients(t, units)
            for term in terms:
                result.add_(term(columns), alpha=1 / len(terms))
            return result

        return block


@dataclass(frozen=True)
class Round:
    """One round of probing.

    Attributes:
        kind: `displacements`, `goals`, `greedy` or `check`.
        rank: the number of probes after the round.
        error: the estimated error before the round; None in the first two rounds.

    """

    kind: str
    rank: int
    error: float | None


class Prober:
    """Chooses probes and measures the clusters' responses to them."""

    def __init__(
        self, expansion: Expansion, clusters: Clusters, schedules: Tensor, anchors: int
    ) -> None:
        """Measure the typical length of displacements; `run` probes.

        Args:
            expansion: the path with its gradient table.
            clusters: the clusters with their pools.
            schedules: (O, T, k), replayed for the displacements; the last one checks the error.
            anchors: the number of steps at which the curvature is probed.

        """
        self.expansion = expansion
        self.labels = torch.from_numpy(clusters.labels)
        self.schedules, self.check = schedules[:-1], schedules[-1:]
        steps = expansion.path.steps
        probed_steps = np.array([steps * (2 * i + 1) // (2 * anchors) for i in range(anchors)])
        self.curvature = CurvatureAlongPath(
            probed_steps, [ClusterCurvature(expansion.problem, clusters) for _ in probed_steps]
        )
        self.metric = second_moment_scale(expansion)
        self.rounds: list[Round] = []
        self.length = _STEP * float(self.displacements().squared_norms().sqrt().mean())
        self.responses = [
            Responses(expansion.problem, clusters, expansion.path.parameters(int(t)), self.length)
            for t in probed_steps
        ]

    def run(self, rounds: ProbeRounds, tolerance: float) -> CurvatureAlongPath:
        """Probe until the estimated error is within `tolerance`, or the largest rank is reached."""
        self.start(rounds)
        while self.extend(rounds, tolerance) is None:
            pass
        return self.curvature

    def start(self, rounds: ProbeRounds) -> None:
        """Take the probes of the first two rounds: of displacements, and of the goals."""
        probes = principal(self.displacements(), self.metric, rounds.displacements)
        self._take("displacements", probes, None)
        goals = sensitivities(self.expansion, self.curvature.middle)
        missed = self.curvature.middle.remainder(goals)
        self._take("goals", principal(missed, self.metric, rounds.goals), None)

    def extend(self, rounds: ProbeRounds, tolerance: float) -> str | None:
        """Take the probes of one further round; return why not, if there is none."""
        rank = self.curvature.rank
        if rank >= rounds.most:
            return LARGEST
        error = self.error()
        if error <= tolerance:
            self.rounds.append(Round("check", rank, error))
            return WITHIN_TOLERANCE
        missed = self.curvature.middle.remainder(self.displacements())
        probes = principal(missed, self.metric, rounds.following(rank))
        if not len(probes):
            return SPANNED
        self._take("greedy", probes, error)
        return None

    def replay(self) -> CurvedReplay:
        """Return the replay with the curvature measured so far."""
        return CurvedReplay(self.expansion, self.curvature, self.labels)

    def _take(self, kind: str, probes: Rows, error: float | None) -> None:
        for curvature, responses in zip(self.curvature.at, self.responses, strict=True):
            curvature.add(probes, responses(probes))
        self.rounds.append(Round(kind, self.curvature.rank, error))

    def displacements(self, schedules: Tensor | None = None) -> Rows:
        """Return the displacements (n, P) of replays with the current curvature.

        They are taken at a few steps of the window, for `schedules` (O, T, k) or the probe
        schedules.
        """
        schedules = self.schedules if schedules is None else schedules
        steps = self.expansion.path.steps
        parts = range(1, DISPLACED_STEPS + 1)
        places = sorted({max(1, steps * part // DISPLACED_STEPS) for part in parts})
        n, size = len(places) * len(schedules), self.expansion.problem.size
        displacements = Rows.empty(n, size, dtype=self.metric.dtype)
        at_step = dict(zip(places, displacements.split(len(places)), strict=True))

        def observe(t: int, parameters: Tensor) -> None:
            if t in at_step:
                displacement(self.expansion, t, parameters, at_step[t].tensor)

        self.replay().replay(schedules, observe)
        return displacements

    def error(self) -> float:
        """Return an a-posteriori estimate of the relative error of the curvature.

        This is |H_c d - (H_c d)_estimated| / |H_c d| in the norm of the preconditioner, over all
        clusters and a few displacements of replays that the probes were not chosen from. The
        measured H_c d is shrunk as the estimate is: probes cannot reduce the part that is shrunk
        away as noise.
        """
        reached = self.displacements(self.check)
        deltas = reached[:: max(1, len(reached) // CHECKED)][:CHECKED]
        middle, n = self.curvature.middle, len(deltas)
        responses = self.responses[len(self.responses) // 2](deltas)
        clusters = len(middle.responses)
        estimates = [middle.apply(deltas, torch.full((n,), c)) for c in range(clusters)]
        wrong = total = 0.0
        for first, second, metric, *estimated in blocks(
            *responses.split(2), self.metric, *estimates
        ):
            measured = ((first + second) / 2).unflatten(0, (clusters, n))
            mean = torch.einsum("c,cnp->np", middle.shares.to(measured.dtype), measured)
            for c, own in enumerate(measured):
                exact = torch.lerp(mean, own, float(middle.factors[c]))
                wrong += float(((estimated[c] - exact) / metric).norm()) ** 2
                total += float((exact / metric).norm()) ** 2
        return float((wrong / total) ** 0.5)

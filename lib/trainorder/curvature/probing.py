"""Chooses the directions in which the curvature is probed, and measures the responses.

The probes are chosen in rounds:

1. the principal directions of the displacements of replays of random orders without curvature;
2. the directions to which the goals are sensitive (dual-weighted residuals, Becker and Rannacher
   2001);
3. in each further round, the principal directions of what the probes so far miss of the
   displacements of replays with the current curvature.

Instead of more probes, a round can take more sequences into the pools, or probe at more steps of
the path: whichever has the largest measured error. See `docs/method`, "Probes".
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainorder.curvature.cluster_curvature import ClusterCurvature, CurvatureAlongPath, Responses
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.curvature.probe_errors import relative_change, response_errors
from trainorder.curvature.probe_growth import (
    ANCHORS,
    CHECKED,
    FIXED,
    POOL,
    RANK,
    ProbedSize,
    ProbeGrowth,
)
from trainorder.curvature.probe_rounds import ProbeRounds
from trainorder.curvature.sensitivities import sensitivities
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.replay import Block, ExactReplay, displacement
from trainorder.numerics.gram import principal
from trainorder.numerics.rows import Rows

LARGEST = "curvature.rank is reached"
WITHIN_TOLERANCE = "the estimated errors are within curvature.tolerance"
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
        kind: `displacements`, `goals`, `greedy`, `pool`, `anchors` or `check`.
        rank: the number of probes after the round.
        pool: sequences of the largest pool after the round.
        probed_steps: steps of the path that are probed after the round.
        errors: the estimated errors before the round, by what would lower them: `rank`, `pool` and
            `anchors`, of those that may grow; empty in the first two rounds.

    """

    kind: str
    rank: int
    pool: int
    probed_steps: list[int]
    errors: dict[str, float]


class Prober:
    """Chooses probes and measures the clusters' responses to them."""

    def __init__(
        self,
        expansion: Expansion,
        clusters: Clusters,
        schedules: Tensor,
        anchors: int,
        seed: int = 0,
    ) -> None:
        """Measure the typical length of displacements; `run` probes.

        Args:
            expansion: the path with its gradient table.
            clusters: the clusters with their pools.
            schedules: (O, T, k), replayed for the displacements; the last one checks the error.
            anchors: the number of steps at which the curvature is probed.
            seed: of the sequences by which pools grow.

        """
        self.expansion, self.clusters, self.seed = expansion, clusters, seed
        self.labels = torch.from_numpy(clusters.labels)
        self.schedules, self.check = schedules[:-1], schedules[-1:]
        steps = self._spread(anchors)
        self.curvature = CurvatureAlongPath(
            steps, [ClusterCurvature(expansion.problem, clusters) for _ in steps]
        )
        self.metric = second_moment_scale(expansion)
        self.rounds: list[Round] = []
        self.length = _STEP * float(self.displacements().squared_norms().sqrt().mean())
        self.differentiated = 0
        self.responses = [self._responses(int(t), clusters) for t in steps]
        self._changes: dict[int, float] = {}  # along the path, by the number of probed steps

    @property
    def size(self) -> ProbedSize:
        """How much was probed so far."""
        pools = [len(pool) for pool in self.clusters.pools]
        anchors = len(self.curvature.steps)
        return ProbedSize(self.curvature.rank, max(pools), sum(pools), anchors, self.differentiated)

    def run(self, rounds: ProbeRounds, tolerance: float) -> CurvatureAlongPath:
        """Probe until the estimated error is within `tolerance`, or the largest rank is reached."""
        self.start(rounds)
        while self.extend(rounds, tolerance) is None:
            pass
        return self.curvature

    def start(self, rounds: ProbeRounds) -> None:
        """Take the probes of the first two rounds: of displacements, and of the goals."""
        probes = principal(self.displacements(), self.metric, rounds.displacements)
        self._take("displacements", probes, {})
        goals = sensitivities(self.expansion, self.curvature.middle)
        missed = self.curvature.middle.remainder(goals)
        self._take("goals", principal(missed, self.metric, rounds.goals), {})

    def extend(
        self, rounds: ProbeRounds, tolerance: float, growth: ProbeGrowth = FIXED
    ) -> str | None:
        """Do one further round; return why not, if there is none.

        Args:
            rounds: the rounds of probing, which decide how many probes a round adds.
            tolerance: the relative error that is small enough.
            growth: what may grow beside the rank.

        """
        if not growth.is_fixed:
            rounds = growth.rounds(self.size, self._check_cost(growth))
        if self.curvature.rank >= rounds.most:
            return LARGEST
        errors = self.errors(growth)
        if max(errors.values()) <= tolerance:
            self._record("check", errors)
            return WITHIN_TOLERANCE
        large = [name for name, error in errors.items() if not error <= tolerance]
        reason = self._grow(large, errors, rounds, growth)
        if reason is not None:
            self._record("check", errors)
        return reason

    def _grow(
        self,
        large: Collection[str],
        errors: dict[str, float],
        rounds: ProbeRounds,
        growth: ProbeGrowth,
    ) -> str | None:
        """Lower the largest of the `large` errors that can be lowered; return why none can."""
        reason = LARGEST
        for what in sorted(large, key=lambda name: -errors[name]):
            if what == POOL:
                growing = int((self.curvature.middle.missing_shares > 0).sum())
                if pool := growth.larger_pool(self.size, growing):
                    self._widen(pool, errors)
                    return None
            elif what == ANCHORS:
                if anchors := growth.more_anchors(self.size, self.expansion.path.steps):
                    self._add_steps(anchors, errors)
                    return None
            else:
                missed = self.curvature.middle.remainder(self.displacements())
                probes = principal(missed, self.metric, rounds.following(self.curvature.rank))
                if len(probes):
                    self._take("greedy", probes, errors)
                    return None
                reason = SPANNED
        return reason

    def replay(self) -> CurvedReplay:
        """Return the replay with the curvature measured so far."""
        return CurvedReplay(self.expansion, self.curvature, self.labels)

    def _take(self, kind: str, probes: Rows, errors: dict[str, float]) -> None:
        for curvature, responses in zip(self.curvature.at, self.responses, strict=True):
            curvature.add(probes, self._respond(responses, probes))
        self._record(kind, errors)

    def _widen(self, pool: int, errors: dict[str, float]) -> None:
        """Let the pools grow to `pool` sequences; only the new ones are differentiated."""
        sequences = self.expansion.problem.sequences
        former, self.clusters = self.clusters, self.clusters.resized(sequences, pool, self.seed)
        added = self.clusters.without(former)
        for t, curvature, responses in zip(
            self.curvature.steps, self.curvature.at, self.responses, strict=True
        ):
            more = self._responses(int(t), added)
            curvature.widen(self.clusters, self._respond(more, curvature.probes))
            responses.widen(more)
        self._record(POOL, errors)

    def _add_steps(self, anchors: int, errors: dict[str, float]) -> None:
        """Probe at `anchors` steps; those that are probed are among them."""
        probes, steps = self.curvature.middle.probes, self._spread(anchors)
        known = dict(zip(self.curvature.steps.tolist(), self.curvature.at, strict=True))
        responses = dict(zip(self.curvature.steps.tolist(), self.responses, strict=True))
        for t in sorted(set(steps.tolist()) - set(known)):
            responses[t] = self._responses(t, self.clusters)
            known[t] = ClusterCurvature(self.expansion.problem, self.clusters)
            known[t].add(probes, self._respond(responses[t], probes))
        places = sorted(known)
        self.curvature = CurvatureAlongPath(np.array(places), [known[t] for t in places])
        self.responses = [responses[t] for t in places]
        self._record(ANCHORS, errors)

    def _spread(self, anchors: int) -> np.ndarray:
        """Return the middles of `anchors` equal parts of the window."""
        steps = self.expansion.path.steps
        return np.array([steps * (2 * i + 1) // (2 * anchors) for i in range(anchors)])

    def _responses(self, t: int, clusters: Clusters) -> Responses:
        self.differentiated += sum(map(len, clusters.pools))
        theta = self.expansion.path.parameters(t)
        return Responses(self.expansion.problem, clusters, theta, self.length)

    def _respond(self, responses: Responses, directions: Rows) -> Rows:
        self.differentiated += len(directions) * responses.sequences
        return responses(directions)

    def _record(self, kind: str, errors: dict[str, float]) -> None:
        size, steps = self.size, self.curvature.steps.tolist()
        self.rounds.append(Round(kind, size.rank, size.pool, steps, errors))

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
        """Return the error of too few probes; see `errors`."""
        return self.errors(FIXED)[RANK]

    def errors(self, growth: ProbeGrowth) -> dict[str, float]:
        """Return a-posteriori estimates of the relative errors of the curvature.

        Args:
            growth: what may grow beside the rank.

        Returns:
            By what would lower them: `rank`, of too few probes; `pool`, of the noise of the pools;
            `anchors`, of the change from the last probed step to the end of the path. Only of those
            that may grow.

        """
        adds_steps = self._may_add_steps(growth)
        deltas, middle = self._checked(), self.curvature.middle
        responses = self._respond(self.responses[len(self.responses) // 2], deltas)
        of_rank, of_pool = response_errors(middle, deltas, responses, self.metric)
        return {
            RANK: of_rank,
            **({POOL: of_pool} if growth.pool else {}),
            **({ANCHORS: self._change_along_path(deltas, responses)} if adds_steps else {}),
        }

    def _checked(self) -> Rows:
        """Return the displacements (n, P) that the errors are estimated from."""
        reached = self.displacements(self.check)
        return reached[:: max(1, len(reached) // CHECKED)][:CHECKED]

    def _change_along_path(self, deltas: Rows, middle: Rows) -> float:
        """Return how much responses to `deltas` change from the last probed step to the end.

        It is measured once for each number of probed steps, because it hardly depends on the probes
        and pools. `middle` are the responses at the middle step.
        """
        anchors = len(self.responses)
        if anchors not in self._changes:
            last = middle if anchors == 1 else self._respond(self.responses[-1], deltas)
            end = self._responses(self.expansion.path.steps - 1, self.clusters)
            change = relative_change(last, self._respond(end, deltas), self.metric)
            self._changes[anchors] = change
        return self._changes[anchors]

    def _may_add_steps(self, growth: ProbeGrowth) -> bool:
        """Return whether there is a budget for more probed steps; else a check is of no use."""
        return growth.more_anchors(self.size, self.expansion.path.steps) is not None

    def _check_cost(self, growth: ProbeGrowth) -> int:
        """Return how many sequences the next call of `errors` differentiates."""
        anchors, passes = len(self.responses), CHECKED
        if self._may_add_steps(growth) and anchors not in self._changes:
            passes += 1 + CHECKED + (CHECKED if anchors > 1 else 0)
        return passes * self.size.pooled

"""Which directions the curvature is probed in: where replays of random orders really go.

First the displacements of replays without curvature, then what the metrics are sensitive to (an
error of the gradient matters as far as the metrics see it: the dual-weighted residual of Becker
and Rannacher 2001), then greedily what replays with the curvature found so far reach and its
probes miss.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainorder.config.sections import CurvatureConfig
from trainorder.curvature.cluster_curvature import ClusterCurvature, CurvatureAlongPath, Responses
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.replay import Block, ExactReplay, displacement
from trainorder.numerics import large_tensors
from trainorder.training.problem import goal_gradients

SCHEDULES = 33  # random schedules that are replayed; the last one checks the error
_GOAL_STEPS = 3  # places in the window at which the metrics' sensitivities are taken
_STEP = 0.3  # of a typical displacement: the length of the finite differences
_STREAM = 101  # of the random schedules; those of `orders` are small numbers
_CHECKED = 2  # displacements of the check schedule that the error is estimated from


class CurvedReplay(ExactReplay):
    """Order 1 with the curvature found so far; order 0 while there is none."""

    def __init__(self, expansion: Expansion, curvature: CurvatureAlongPath, labels: Tensor) -> None:
        """Replay about `expansion`; `labels` (U,) are the clusters of the units."""
        super().__init__(expansion)
        self.curvature, self.labels = curvature, labels

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Read the table and add the curvature of each unit's cluster."""
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
    """One round of probing: the rank it ended with, and the error found before it."""

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
        """Return the displacements (n, P) of replays with the curvature found so far.

        They are taken at a few places of the window, of `schedules` or else of those to probe for.
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


def second_moment_scale(expansion: Expansion) -> Tensor:
    """Return v_hat^(1/4) (P,) in the middle of the path.

    Adam's preconditioner is 1 / sqrt(v_hat): displacements times this scale, and gradients over it,
    have the norm in which a step of Adam is a step of gradient descent. For SGD it is 1.
    """
    path, size = expansion.path, expansion.problem.size
    scale = large_tensors.empty(size, dtype=expansion.dtype)
    for columns in large_tensors.column_blocks(1, size):
        state = path.state(path.steps // 2, columns)
        scale[columns] = expansion.optimizer.second_moment(state).sqrt().sqrt()
    return scale.clamp_(min=float(scale.max()) * 1e-6)


def principal(rows: Tensor, metric: Tensor, count: int) -> Tensor:
    """Return the `count` principal directions (n, P) of `rows` (m, P), n <= m, by their Gram.

    Orthogonal, and of unit length, in the norm |metric * x|.
    """
    squared = metric.square()
    values, combined = torch.linalg.eigh(large_tensors.inner_products(rows, rows, squared).double())
    kept = values > 1e-10 * values.max()
    leading = combined[:, kept].flip(1)[:, :count].to(rows.dtype)
    directions = large_tensors.combine(leading.T, rows)
    return large_tensors.scale_rows(
        directions, large_tensors.squared_norms(directions, squared).rsqrt()
    )


def sensitivities(expansion: Expansion, curvature: ClusterCurvature) -> Tensor:
    """Return P_t lambda_t (n, P): how each goal at the end feels a gradient at a few steps t.

    lambda_T is the gradient of the goal at the path's end; backwards,
    lambda_t = lambda_{t+1} - H eta_t P_t lambda_{t+1}, with the preconditioner P_t of the path
    (`optimizer.Optimizer`) and the mean curvature found so far. Momentum is taken as instantaneous.
    """
    problem, path, optimizer = expansion.problem, expansion.path, expansion.optimizer
    rows = goal_gradients(problem, path.parameters(path.steps))
    pushed = large_tensors.empty(*rows.shape, dtype=rows.dtype)
    places = {path.steps * (2 * i + 1) // (2 * _GOAL_STEPS) for i in range(_GOAL_STEPS)}
    taken = []
    for t in reversed(range(path.steps)):
        for columns in large_tensors.column_blocks(*rows.shape):
            state = path.state(t + 1, columns)
            pushed[:, columns] = optimizer.preconditioner(state) * rows[:, columns]
        if t in places:
            taken.append(
                large_tensors.scale_rows(
                    large_tensors.copy(pushed), large_tensors.squared_norms(pushed).rsqrt()
                )
            )
        rate = optimizer.learning_rate(path.first_step + t)
        curved = curvature.apply_mean(pushed)
        for columns in large_tensors.column_blocks(*rows.shape):
            rows[:, columns] -= rate * curved(columns)
    return large_tensors.join(taken)


def probe_schedules(
    shape: tuple[int, int], units: int, seed: int, count: int = SCHEDULES
) -> Tensor:
    """Return `count` random schedules (n, T, k) of `shape` (T, k) that serve for probing alone.

    Each epoch is a permutation of its own.
    """
    rng = np.random.default_rng([seed, _STREAM])
    places = shape[0] * shape[1]
    rows = [
        np.concatenate([rng.permutation(units) for _ in range(-(-places // units))])[:places]
        for _ in range(count)
    ]
    return torch.from_numpy(np.stack(rows).reshape(-1, *shape))

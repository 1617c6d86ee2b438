"""The reduced model: a whole replay in a few hundred numbers a schedule, from a file of megabytes.

With the low-rank expansion g = gbar_t + Q'(a_{t,s} + M_s Q_r d), the momentum leaves mbar, which is
fed gbar_t, by Q' mu exactly: mu <- b1 mu + (1 - b1)(a + M y), with y = F d. F holds the rows of
Q_r, and the gradients of the losses that are read, at the path. Adam's step makes of it

    y <- (1 - eta lambda) y - eta [F diag(D_t) (mbar + Q' mu) / c1 - F (update of the path)]

with D_t = 1 / (sqrt(v_hat) + eps) the preconditioner of the schedule. It is the one thing that is
not linear. It is taken to first order: D_t = Dbar_t (1 + sum_j alpha_j p_j), Dbar_t its mean over
replays of random schedules, p_j the principal patterns of its relative deviations there, and

    alpha <- b2 alpha + R[s]:

a unit's squares stay in v as long as v remembers, and R, (U, J), is fitted to the same replays.
So F diag(Dbar p_j) Q' are small matrices, tabulated at a few knots in t. Losses are read from y,
those of the goals after some steps and those of the units at the end: the first order exactly, the
second through the mean core, or the unit's own.

For SGD, D = 1 / (1 - b1) whatever the schedule, so J = 0, and all is linear. Its decay is a part of
the gradient: mbar is fed lambda theta_t, too, and lambda d adds nu <- b1 nu + lambda y to the
bracket.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.low_rank_replay import LowRankReplay
from trainorder.curvature.reduced_model import Knot, ReducedModel
from trainorder.expansion.expansion import Expansion
from trainorder.numerics import large_tensors
from trainorder.numerics.gram import eigenvalues_and_vectors
from trainorder.training.problem import Problem, goal_gradients, unit_gradients

PATTERNS = 2  # of the preconditioner's deviations
SCHEDULES = 64  # random ones that are replayed to see them


def reduce(
    expansion: Expansion,
    model: LowRankExpansion,
    schedules: Tensor,
    metric: Tensor,
    readouts: Sequence[int],
    patterns: int = PATTERNS,
) -> ReducedModel:
    """Return the reduced model of `model`, whose path is that of `expansion`.

    Args:
        expansion: the path with its moments, and the problem.
        model: the low-rank expansion about it.
        schedules: (O, T, k) random schedules to replay for the preconditioner.
        metric: (P,) as in `probes.second_moment_scale`.
        readouts: (R,) updates after which the goals are to be read; the last is T.
        patterns: J.

    """
    path, problem, optimizer = expansion.path, expansion.problem, expansion.optimizer
    knots = model.anchors
    if optimizer.adaptive:
        at_knots = _adaptive_knots(expansion, model, schedules, knots, metric, patterns)
    else:
        at_knots = _constant_knots(expansion, knots, len(schedules))
    end = path.parameters(path.steps)
    goals = [goal_gradients(problem, path.parameters(t)) for t in readouts]
    functionals = large_tensors.join([model.readers, *goals, unit_gradients(problem, end)])
    matrices, drifts = [], []
    for knot, momentum in zip(at_knots, _momenta(expansion, model, knots), strict=True):
        weights = large_tensors.join([knot.preconditioner[None], knot.patterns])
        for columns in large_tensors.column_blocks(*weights.shape):
            weights[1:, columns] *= weights[0, columns]
        matrices.append(
            torch.stack(
                [large_tensors.inner_products(functionals, model.basis, row) for row in weights]
            )
        )
        drift = [
            large_tensors.inner_products(functionals, momentum[None], row)[:, 0] for row in weights
        ]
        drift[0] -= large_tensors.inner_products(
            functionals, _path_update(expansion, knot.t)[None]
        )[:, 0]
        drifts.append(torch.stack(drift))
    steps = [path.first_step + t for t in range(path.steps)]
    rates = np.array([optimizer.learning_rate(step) for step in steps])
    table = [model.coordinates(t, torch.arange(problem.units)[:, None]) for t in range(path.steps)]
    return ReducedModel(
        knots=knots,
        rates=rates,
        decay=1 - rates * optimizer.decoupled,
        corrections=np.array([optimizer.bias_corrections(step)[0] for step in steps]),
        coupled=np.array(optimizer.coupled),
        beta=np.array(optimizer.betas),
        coefficients=torch.stack(table),
        probed_steps=model.probed_steps,
        cores=(
            model.cores[:, model.labels] + model.unit_corrections.mT @ model.unit_readers
        ).mT.contiguous(),
        steps=torch.stack(matrices).permute(0, 3, 1, 2).flatten(2).contiguous(),
        drifts=torch.stack(drifts),
        responses=_unit_responses(at_knots, schedules, problem.units, optimizer.betas[1]),
        goals=list(problem.goals),
        readouts=np.array(readouts),
        losses=torch.stack([_goal_losses(problem, path.parameters(t)) for t in readouts]),
        unit_losses=_unit_losses(problem, end),
    )


def _goal_losses(problem: Problem, theta: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.stack([problem.goal_loss(theta, g) for g in range(len(problem.goals))])


def _unit_losses(problem: Problem, theta: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.stack([problem.loss(theta, unit) for unit in range(problem.units)])


def _path_update(expansion: Expansion, t: int) -> Tensor:
    """Return P m (P,) of the path's own update at step `t`."""
    path, optimizer = expansion.path, expansion.optimizer
    result = large_tensors.empty(expansion.problem.size, dtype=expansion.dtype)
    for columns in large_tensors.column_blocks(1, len(result)):
        state = path.state(t + 1, columns)
        result[columns] = optimizer.preconditioner(state) * optimizer.average(state)
    return result


def _momenta(expansion: Expansion, model: LowRankExpansion, steps: np.ndarray) -> Tensor:
    """Return mbar after the update of some steps, (K, P): momentum that is fed the mean gradient.

    That of the barycentre path is the same; that of the reference path follows its own order.
    """
    path, optimizer = expansion.path, expansion.optimizer
    kept = large_tensors.empty(len(steps), expansion.problem.size, dtype=model.basis.dtype)
    for columns in large_tensors.column_blocks(1, kept.shape[1]):
        momentum = optimizer.average(model.start.columns(columns)).clone()
        for t in range(int(steps[-1]) + 1):
            pushed = model.mean_gradient(t, columns)
            if optimizer.coupled:
                pushed = pushed.add(path.parameters(t, columns), alpha=optimizer.coupled)
            momentum.lerp_(pushed, 1 - optimizer.betas[0])
            kept[steps == t, columns] = momentum
    return kept


class _RecordingReplay(LowRankReplay):
    """A replay that keeps the preconditioners at some steps."""

    def __init__(self, expansion: Expansion, model: LowRankExpansion, steps: np.ndarray) -> None:
        super().__init__(expansion, model)
        self.recorded_steps = {int(t) + 1 for t in steps}
        self.preconditioners: dict[int, Tensor] = {}

    def follow(self, state, schedules, first, observe):  # type: ignore[no-untyped-def]
        def record(t: int, parameters: Tensor) -> None:
            if t in self.recorded_steps:
                self.preconditioners[t] = large_tensors.empty(
                    *parameters.shape, dtype=parameters.dtype
                )
                for columns in large_tensors.column_blocks(*parameters.shape):
                    part = self.expansion.optimizer.preconditioner(state.columns(columns))
                    self.preconditioners[t][:, columns] = part
            observe(t, parameters)

        super().follow(state, schedules, first, record)


def _adaptive_knots(
    expansion: Expansion,
    model: LowRankExpansion,
    schedules: Tensor,
    knots: np.ndarray,
    metric: Tensor,
    count: int,
) -> list[Knot]:
    """Return the preconditioners' mean and principal deviations at each knot."""
    about = Expansion(expansion.problem, expansion.optimizer, model, None)
    replay = _RecordingReplay(about, model, knots)
    replay.replay(schedules, lambda t, parameters: None)
    result = []
    for t in knots.tolist():
        rows = replay.preconditioners.pop(t + 1)
        mean = large_tensors.empty(rows.shape[1], dtype=rows.dtype)
        for columns in large_tensors.column_blocks(*rows.shape):
            mean[columns] = rows[:, columns].mean(0)
            rows[:, columns] /= mean[columns]
            rows[:, columns] -= 1
        values, combined = eigenvalues_and_vectors(
            large_tensors.inner_products(rows, rows, metric.square())
        )
        kept = combined.flip(1)[:, :count].to(rows.dtype)
        leading = values.flip(0)[:count]
        is_used = leading > 1e-6 * leading.clamp(min=0).sum()  # few units, few patterns
        lengths = leading.where(is_used, torch.inf).sqrt().to(rows.dtype)
        scale = lengths.where(is_used, 0.0)
        result.append(Knot(t, mean, large_tensors.combine((kept / lengths).T, rows), kept * scale))
    return _aligned(result, metric)


def _constant_knots(expansion: Expansion, knots: np.ndarray, replays: int) -> list[Knot]:
    """Return the knots of a preconditioner that is the same for all schedules."""
    result = []
    for t in knots.tolist():
        own = expansion.optimizer.preconditioner(expansion.path.state(t + 1))
        result.append(Knot(t, own, own.new_zeros(0, len(own)), own.new_zeros(replays, 0)))
    return result


def _aligned(knots: list[Knot], metric: Tensor) -> list[Knot]:
    """Turn each knot's patterns towards the one's before, so that they can be interpolated."""
    done = knots[:1]
    for knot in knots[1:]:
        product = large_tensors.inner_products(knot.patterns, done[-1].patterns, metric.square())
        left, _, right = torch.linalg.svd(product)
        turn = left @ right
        patterns = large_tensors.combine(turn.T, knot.patterns)
        done.append(Knot(knot.t, knot.preconditioner, patterns, knot.deviations @ turn))
    return done


def _unit_responses(knots: list[Knot], schedules: Tensor, units: int, beta2: float) -> Tensor:
    """Return R (U, J), the ridge fit of alpha_t = sum_{s <= t} b2^(t - s) R[unit of s]."""
    rows, targets = [], []
    for knot in knots:
        member = torch.nn.functional.one_hot(schedules[:, : knot.t + 1], units).double().mean(2)
        kernel = beta2 ** torch.arange(knot.t, -1, -1, dtype=torch.float64)
        rows.append(torch.einsum("s,osu->ou", kernel, member))
        targets.append(knot.deviations.double())
    design, target = torch.cat(rows), torch.cat(targets)
    centre = torch.cat([row.mean(0).expand_as(row) for row in rows])
    design = design - centre
    gram = design.T @ design
    ridge = 1e-2 * gram.diagonal().mean() * torch.eye(units, dtype=gram.dtype)
    fitted = torch.linalg.solve(gram + ridge, design.T @ target)
    fitted = fitted - fitted.mean(0)  # a mean unit leaves the mean preconditioner
    responses: Tensor = fitted.to(knots[0].deviations.dtype)
    return responses

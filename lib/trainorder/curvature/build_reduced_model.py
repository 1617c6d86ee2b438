"""Builds the reduced model: a whole replay in a few hundred numbers a schedule.

With the low-rank expansion g = gbar_t + Q'(a_{t,s} + M_s Q_r d), the momentum is mbar + Q' mu
without an approximation. mbar is the momentum of the gradients gbar_t, and

    mu <- b1 mu + (1 - b1) (a + M y),    y = F d.

The rows of F are those of Q_r and the gradients, at the path, of the losses that are read. With
Adam's preconditioner D_t = 1 / (sqrt(v_hat) + eps) of the schedule, a step of Adam is

    y <- (1 - eta lambda) y - eta [F diag(D_t) (mbar + Q' mu) / c1 - F (update of the path)].

Only D_t is not linear. It is taken to first order, D_t = Dbar_t (1 + sum_j alpha_j p_j): Dbar_t is
its mean over replays of random schedules, and p_j are the principal patterns of its relative
deviations in these replays. The coefficients follow

    alpha <- b2 alpha + R[s],

because the squared gradients of a unit stay in v as long as v remembers; R, (U, J), is fitted to
the same replays. So F diag(Dbar p_j) Q' are small matrices, which are tabulated at a few knots
in t. The losses follow from y: those of the goals after some steps, at the parameters there and at
the mean of the last states, and those of the units at the end. Their first order is exact; the
second order takes the mean core, or that of the unit.

Where weight decay exempts parameters, F has further rows, F E with E the projection on the exempt
ones: they follow z = F E d, whose steps have no decay, and a step of y adds eta lambda z.

For SGD, D = 1 / (1 - b1) for all schedules, so J = 0 and all is linear. The weight decay is a part
of the gradient: lambda theta_t is added to the gradients of mbar, and lambda d adds
nu <- b1 nu + lambda (y - z) to the bracket.

Clipping scales the gradient of a step by s, and gbar_t in mbar by its mean sbar_t over random
schedules. Then a + M y becomes s (a + M y), and (s - sbar_t) gbar_t is a combination of the mean
gradients at the anchors, which are further rows of Q; see `reduced_model.Clipping`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.low_rank_replay import LowRankReplay
from trainorder.curvature.reduced_model import Clipping, ReducedModel
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.path import ExpansionPath
from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import Loss, value_and_gradient
from trainorder.numerics.gram import eigenvalues_and_vectors
from trainorder.numerics.interpolation import interpolated
from trainorder.numerics.rows import Rows, blocks
from trainorder.training.averaged_states import AveragedStates
from trainorder.training.optimizer import Optimizer

PATTERNS = 2  # number of patterns of the preconditioner's deviations
SCHEDULES = 64  # number of random schedules that are replayed to see the deviations


@dataclass
class Knot:
    """The preconditioners in replays of random schedules, before the update of one step.

    Attributes:
        t: the step.
        preconditioner: Dbar, (P,).
        patterns: p_j, (J, P).
        deviations: alpha of each replay, (O, J).

    """

    t: int
    preconditioner: Tensor
    patterns: Rows
    deviations: Tensor


def build_reduced_model(
    expansion: Expansion,
    model: LowRankExpansion,
    schedules: Tensor,
    metric: Tensor,
    readouts: Sequence[int],
    patterns: int = PATTERNS,
    averaged_states: int | None = None,
) -> ReducedModel:
    """Return the reduced model of `model`, whose path is that of `expansion`.

    Args:
        expansion: the path with its moments, and the problem.
        model: the low-rank expansion about the path.
        schedules: (O, T, k) random schedules to replay for the preconditioner.
        metric: (P,), see `second_moment_scale`.
        readouts: (R,) updates after which the goals are to be read; the last is T.
        patterns: J.
        averaged_states: number of last states whose mean is read at each readout, too; None for
            none.

    """
    builder = ReducedModelBuilder(expansion, model, schedules, metric, patterns)
    return builder.build(readouts, averaged_states)


class ReducedModelBuilder:
    """Builds reduced models that share the preconditioners of the replayed schedules.

    Args:
        expansion: the path with its moments, and the problem.
        model: the low-rank expansion about the path.
        schedules: (O, T, k) random schedules to replay for the preconditioner.
        metric: (P,), see `second_moment_scale`.
        patterns: J.

    """

    def __init__(
        self,
        expansion: Expansion,
        model: LowRankExpansion,
        schedules: Tensor,
        metric: Tensor,
        patterns: int = PATTERNS,
    ) -> None:
        self.expansion, self.model, self.schedules = expansion, model, schedules
        if expansion.optimizer.adaptive:
            self.knots = _adaptive_knots(expansion, model, schedules, metric, patterns)
        else:
            self.knots = _constant_knots(expansion, model.anchors, len(schedules))
        self.clipping = _clipping(expansion.optimizer, model, schedules)
        problem = expansion.problem
        self.goals = [partial(problem.goal_loss, goal=i) for i in range(len(problem.goals))]

    def build(self, readouts: Sequence[int], averaged_states: int | None = None) -> ReducedModel:
        """Return the reduced model that reads the goals after `readouts`, the last of them T."""
        path, problem = self.expansion.path, self.expansion.problem
        optimizer, model = self.expansion.optimizer, self.model
        read = [_read(self.goals, path, t, averaged_states) for t in readouts]
        units = [partial(problem.loss, unit=unit) for unit in range(problem.units)]
        unit_losses, unit_gradients = _values_and_gradients(units, path.parameters(path.steps))
        loss_scale = problem.loss_scale
        unit_gradients.scale(unit_losses.new_full((problem.units,), 1 / loss_scale))
        functionals = [model.readers, *(rows for _, rows in read), unit_gradients]
        steps, drifts = self._tabulated(Rows.concatenate(functionals))
        updates = [path.first_step + t for t in range(path.steps)]
        rates = np.array([optimizer.learning_rate(step) for step in updates])
        every = torch.arange(problem.units)[:, None]
        return ReducedModel(
            knots=model.anchors,
            rates=rates,
            decay=1 - rates * optimizer.decoupled,
            corrections=np.array([optimizer.bias_corrections(step)[0] for step in updates]),
            coupled=np.array(optimizer.coupled),
            beta=np.array(optimizer.betas),
            coefficients=torch.stack([model.coordinates(t, every) for t in range(path.steps)]),
            probed_steps=model.probed_steps,
            cores=model.unit_cores.of_units(),
            steps=steps.flatten(2).contiguous(),
            drifts=drifts,
            responses=_unit_responses(
                self.knots, self.schedules, problem.units, optimizer.betas[1]
            ),
            goals=list(problem.goals),
            readouts=np.array(readouts),
            losses=torch.stack([losses for losses, _ in read]),
            unit_losses=unit_losses / loss_scale,
            averaged_states=averaged_states,
            clipping=self.clipping,
            loss_scale=loss_scale,
        )

    def with_more_readouts(self, reduced: ReducedModel, readouts: Sequence[int]) -> ReducedModel:
        """Return `reduced`, which this builder built, with further readouts."""
        path, known = self.expansion.path, reduced.readouts.tolist()
        more = sorted({*readouts} - {*known})
        if not more:
            return reduced
        read = [_read(self.goals, path, t, reduced.averaged_states) for t in more]
        steps, drifts = self._tabulated(Rows.concatenate([rows for _, rows in read]))
        losses = torch.cat([reduced.losses, torch.stack([losses for losses, _ in read])])
        place_of = {t: place for place, t in enumerate([*known, *more])}
        order = [place_of[t] for t in sorted(place_of)]

        def joined(first: Tensor, second: Tensor) -> Tensor:
            """Return the columns of both: readers, losses by readout, and units, in each half."""
            halves = 2 if reduced.exempts else 1
            first, second = (part.unflatten(-1, (halves, -1)) for part in (first, second))
            end = reduced.rank + reduced.losses.numel()
            known_columns = first[..., reduced.rank : end]
            by_readout = torch.cat([known_columns, second], -1).unflatten(-1, losses.shape)
            columns = by_readout[..., order, :].flatten(-2)
            parts = [first[..., : reduced.rank], columns, first[..., end:]]
            return torch.cat(parts, -1).flatten(-2)

        known_steps = reduced.steps.unflatten(2, reduced.drifts.shape[1:])
        return replace(
            reduced,
            steps=joined(known_steps, steps).flatten(2).contiguous(),
            drifts=joined(reduced.drifts, drifts),
            readouts=np.array(sorted(place_of)),
            losses=losses[order],
        )

    @cached_property
    def _momenta(self) -> Rows:
        clipping, model = self.clipping, self.model
        scales = np.ones(model.steps) if clipping is None else clipping.mean_scales
        return _momenta(self.expansion, model, model.anchors, scales)

    def _tabulated(self, functionals: Rows) -> tuple[Tensor, Tensor]:
        """Return `steps` (K, q, 1 + J, f) and `drifts` (K, 1 + J, f) of f functionals (f, P).

        Where weight decay exempts parameters, there are 2 f columns.
        """
        functionals = _with_exempt(functionals, self.expansion.optimizer.decayed)
        model = self.model
        writers = [model.basis] if self.clipping is None else [model.basis, model.mean]
        matrices, drifts = [], []
        for knot, momentum in zip(self.knots, self._momenta.split(len(self.knots)), strict=True):
            scaled = knot.patterns.copy().map_blocks(torch.mul, knot.preconditioner)
            weights = [knot.preconditioner, *scaled]  # Dbar p_j, with p_0 = 1
            grams = [[functionals.gram(rows, row) for rows in writers] for row in weights]
            matrices.append(torch.stack([torch.cat(parts, 1) for parts in grams]))
            drift = torch.stack([functionals.gram(momentum, row)[:, 0] for row in weights])
            drift[0] -= functionals.gram(_path_update(self.expansion, knot.t))[:, 0]
            drifts.append(drift)
        return torch.stack(matrices).permute(0, 3, 1, 2), torch.stack(drifts)


def _clipping(optimizer: Optimizer, model: LowRankExpansion, schedules: Tensor) -> Clipping | None:
    """Return the clipping of reduced replays; None if gradients are not clipped."""
    largest = optimizer.config.gradient_clip
    if largest is None:
        return None
    across = model.basis.gram(model.mean)
    gram = torch.cat(
        [torch.cat([model.basis.gram(), across], 1), torch.cat([across.T, model.mean.gram()], 1)]
    )
    places = torch.eye(len(model.anchors), dtype=gram.dtype)
    weights = torch.stack(
        [interpolated(model.anchors, t, places.__getitem__) for t in range(model.steps)]
    )
    plain = Clipping(np.array(largest), gram, np.zeros(model.steps), weights)
    along = [model.coordinates(t, schedules[:, t]) for t in range(model.steps)]
    means = [plain.mean_scale(t, coordinates) for t, coordinates in enumerate(along)]
    return replace(plain, mean_scales=np.array(means))


def _with_exempt(functionals: Rows, decayed: Tensor | None) -> Rows:
    """Return `functionals` (f, P), then their parts on the parameters without decay, if any."""
    if decayed is None:
        return functionals
    exempt = functionals.copy().map_blocks(torch.mul, (~decayed).to(functionals.dtype))
    return Rows.concatenate([functionals, exempt])


def _read(
    goals: Sequence[Loss], path: ExpansionPath, readout: int, averaged_states: int | None
) -> tuple[Tensor, Rows]:
    """Return the losses (L,) and gradients (L, P) at a readout, and at the mean state there."""
    averages = AveragedStates([readout], averaged_states)
    for t in filter(averages.needs, range(readout + 1)):
        averages.add(t, path.parameters(t))
    losses, gradients = _values_and_gradients(goals, path.parameters(readout))
    mean = averages.take(readout)
    if mean is None:
        return losses, gradients
    averaged_losses, averaged_gradients = _values_and_gradients(goals, mean)
    rows = Rows.concatenate([gradients, averaged_gradients])
    return torch.cat([losses, averaged_losses]), rows


def _values_and_gradients(losses: Sequence[Loss], theta: Tensor) -> tuple[Tensor, Rows]:
    """Return the values (n,) and the gradients (n, P) of n `losses` at `theta` (P,)."""
    values = theta.new_empty(len(losses))
    gradients = Rows.empty(len(losses), len(theta), dtype=theta.dtype)
    for row, loss in enumerate(losses):
        values[row], gradients[row] = value_and_gradient(loss, theta)
    return values, gradients


def _path_update(expansion: Expansion, t: int) -> Rows:
    """Return P m (1, P) of the path's own update at step `t`."""
    path, optimizer = expansion.path, expansion.optimizer
    return Rows.empty(1, expansion.problem.size, dtype=expansion.dtype).fill(
        lambda state: optimizer.preconditioner(state) * optimizer.average(state),
        partial(path.state, t + 1),
    )


def _momenta(
    expansion: Expansion, model: LowRankExpansion, steps: np.ndarray, scales: np.ndarray
) -> Rows:
    """Return mbar (K, P), the momentum of the mean gradients, after the updates of `steps`.

    The mean gradient of each step is multiplied by its scale, of `scales` (T,). The momentum of the
    barycentre path is the same without clipping; that of the reference path is not, because it
    follows the gradients of the reference order.
    """
    path, optimizer = expansion.path, expansion.optimizer
    momenta = Rows.empty(len(steps), expansion.problem.size, dtype=model.basis.dtype)
    for columns in large_tensors.column_blocks(1, momenta.size):
        momentum = optimizer.average(model.start.columns(columns)).clone()
        for t in range(int(steps[-1]) + 1):
            gradient = model.mean_gradient(t, columns) * float(scales[t])
            if optimizer.coupled:
                optimizer.columns(columns).pull(gradient, path.parameters(t, columns))
            momentum.lerp_(gradient, 1 - optimizer.betas[0])
            momenta.block(columns)[steps == t] = momentum
    return momenta


class _RecordingReplay(LowRankReplay):
    """A replay that records the preconditioners (O, P) of the updates at some steps."""

    def __init__(self, expansion: Expansion, model: LowRankExpansion, steps: np.ndarray) -> None:
        super().__init__(expansion, model)
        self.recorded_steps = {int(t) + 1 for t in steps}
        self.preconditioners: dict[int, Rows] = {}

    def follow(self, state, schedules, first, observe):  # type: ignore[no-untyped-def]
        optimizer = self.expansion.optimizer

        def record(t: int, parameters: Tensor) -> None:
            if t in self.recorded_steps:
                n, size = parameters.shape
                rows = Rows.empty(n, size, dtype=parameters.dtype)
                self.preconditioners[t] = rows.fill(optimizer.preconditioner, state.columns)
            observe(t, parameters)

        super().follow(state, schedules, first, record)


def _adaptive_knots(
    expansion: Expansion, model: LowRankExpansion, schedules: Tensor, metric: Tensor, count: int
) -> list[Knot]:
    """Return the preconditioners' mean and principal deviations at each anchor of `model`."""
    about = Expansion(expansion.problem, expansion.optimizer, model, None)
    replay = _RecordingReplay(about, model, model.anchors)
    replay.replay(schedules, lambda t, parameters: None)
    knots = []
    for t in model.anchors.tolist():
        rows = replay.preconditioners.pop(t + 1)
        mean = large_tensors.empty(rows.size, dtype=rows.dtype)
        for block, mean_block in blocks(rows, mean):
            mean_block.copy_(block.mean(0))
            block.div_(mean_block).sub_(1)  # the relative deviations
        values, vectors = eigenvalues_and_vectors(rows.gram(weight=metric.square()))
        leading = values.flip(0)[:count]
        is_used = leading > 1e-6 * leading.clamp(min=0).sum()  # few units give few patterns
        lengths = leading.where(is_used, torch.inf).sqrt().to(rows.dtype)
        coefficients = vectors.flip(1)[:, :count].to(rows.dtype)
        patterns = rows.combine((coefficients / lengths).T)
        deviations = coefficients * lengths.where(is_used, 0.0)
        knots.append(Knot(t, mean, patterns, deviations))
    return _aligned(knots, metric)


def _constant_knots(expansion: Expansion, steps: np.ndarray, replays: int) -> list[Knot]:
    """Return the knots of a preconditioner that is the same for all schedules."""
    knots = []
    for t in steps.tolist():
        own = expansion.optimizer.preconditioner(expansion.path.state(t + 1))
        no_patterns = Rows.empty(0, len(own), dtype=own.dtype)
        knots.append(Knot(t, own, no_patterns, own.new_zeros(replays, 0)))
    return knots


def _aligned(knots: list[Knot], metric: Tensor) -> list[Knot]:
    """Rotate the patterns of each knot towards those before, so that they can be interpolated."""
    aligned = knots[:1]
    for knot in knots[1:]:
        left, _, right = torch.linalg.svd(knot.patterns.gram(aligned[-1].patterns, metric.square()))
        rotation = left @ right
        patterns = knot.patterns.combine(rotation.T)
        aligned.append(Knot(knot.t, knot.preconditioner, patterns, knot.deviations @ rotation))
    return aligned


def _unit_responses(knots: list[Knot], schedules: Tensor, units: int, beta2: float) -> Tensor:
    """Return R (U, J), the ridge fit of alpha_t = sum_{s <= t} b2^(t - s) R[unit of s]."""
    rows, targets = [], []
    for knot in knots:
        member = torch.nn.functional.one_hot(schedules[:, : knot.t + 1], units).double().mean(2)
        kernel = beta2 ** torch.arange(knot.t, -1, -1, dtype=torch.float64)
        rows.append(torch.einsum("s,osu->ou", kernel, member))
        targets.append(knot.deviations.double())
    design, target = torch.cat(rows), torch.cat(targets)
    design = design - torch.cat([row.mean(0).expand_as(row) for row in rows])
    gram = design.T @ design
    ridge = 1e-2 * gram.diagonal().mean() * torch.eye(units, dtype=gram.dtype)
    fitted = torch.linalg.solve(gram + ridge, design.T @ target)
    fitted = fitted - fitted.mean(0)  # the mean of all units gives the mean preconditioner
    responses: Tensor = fitted.to(knots[0].deviations.dtype)
    return responses

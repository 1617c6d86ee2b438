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

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder import vectors
from trainorder.estimators.base import Expansion, sum_over_units
from trainorder.estimators.nystrom import Nystrom
from trainorder.interpolation import interpolated
from trainorder.lowrank import LowRank
from trainorder.problem import Problem, goal_gradients, unit_gradients
from trainorder.store import read_arrays, write_arrays

PATTERNS = 2  # of the preconditioner's deviations
SCHEDULES = 64  # random ones that are replayed to see them
BATCH = 2048  # schedules at once: large enough to keep the processor busy


@dataclass
class Reduced:
    """The reduced model of a study.

    Attributes:
        knots: (K,) steps at which the matrices are tabulated; interpolated between.
        rates: (T,) learning rates, decay: (T,) 1 - eta lambda, corrections: (T,) 1 - b1^(step + 1);
            for SGD, decay and corrections are 1.
        coupled: () lambda, where it is a part of the gradient; else 0.
        beta: (2,) b1 and b2.
        coefficients: a, (T, U, q).
        bends: (A,) steps at which the curvature was probed.
        cores: M', (A, U, r, q), of the units.
        steps: F diag(Dbar p_j) Q', (K, q, (1 + J) f): p_0 = 1; the products of mu with all of
            them; f = r + R D + U.
        drifts: F diag(Dbar p_j) mbar, (K, 1 + J, f), less the path's own for j = 0.
        responses: R, (U, J).
        goals: their D names.
        readouts: (R,) updates after which the goals are read; the last is all T of them.
        losses: (R, D) of the goals at the path.
        unit_losses: (U,) at the path's end.

    """

    knots: np.ndarray
    rates: np.ndarray
    decay: np.ndarray
    corrections: np.ndarray
    coupled: np.ndarray
    beta: np.ndarray
    coefficients: Tensor
    bends: np.ndarray
    cores: Tensor
    steps: Tensor
    drifts: Tensor
    responses: Tensor
    goals: list[str]
    readouts: np.ndarray
    losses: Tensor
    unit_losses: Tensor

    @property
    def rank(self) -> int:
        """r, the directions in which displacements are read."""
        return self.cores.shape[2]

    def predict(self, schedules: Tensor) -> Tensor:
        """Return the goals' losses (O, D) at the end of `schedules` (O, T, k) int64."""
        return self._read(schedules, [len(self.readouts) - 1])[:, 0]

    def along(self, schedules: Tensor) -> Tensor:
        """Return the goals' losses (O, R, D) after each of `readouts`."""
        return self._read(schedules, range(len(self.readouts)))

    def units(self, schedules: Tensor) -> Tensor:
        """Return the losses of the units themselves (O, U) at the end of `schedules`."""
        units = len(self.unit_losses)
        columns = self.losses.numel() + torch.arange(units)
        first, own = [], self.cores[-1, :, :, : self.rank]
        for batch in schedules.split(BATCH):
            [(_, y)] = self._replayed(batch, columns, {int(self.readouts[-1])})
            ends = y[:, : self.rank]
            second = torch.einsum("oi,uij,oj->ou", ends, own, ends) / 2
            first.append(self.unit_losses + y[:, self.rank :] + second)
        return torch.cat(first)

    def at_end(self) -> dict[str, Tensor | np.ndarray]:
        """Return the arrays that `predict` reads: those of the class, of the end's goals alone.

        `steps` is (K, q, (1 + J) f) with f = r + D, `losses` (D,); `bend` (r, r) is the mean core.
        """
        goals, r = len(self.goals), self.rank
        last = r + goals * (len(self.readouts) - 1)
        kept = torch.cat([torch.arange(r), torch.arange(last, last + goals)])
        names = ("knots", "rates", "decay", "corrections", "coupled", "beta", "coefficients")
        return {
            **{name: getattr(self, name) for name in (*names, "bends", "cores", "responses")},
            "steps": self.steps.unflatten(2, self.drifts.shape[1:])[..., kept].flatten(2),
            "drifts": self.drifts[..., kept],
            "losses": self.losses[-1],
            "bend": self._mean_core(int(self.readouts[-1])),
        }

    def _read(self, schedules: Tensor, places: Sequence[int]) -> Tensor:
        """Return the goals' losses (O, n, D) after the readouts at `places`."""
        goals = len(self.goals)
        after = {int(self.readouts[place]) for place in places}
        bends = {t: self._mean_core(t) for t in after}
        columns = torch.cat([goals * place + torch.arange(goals) for place in places])
        parts = []
        for batch in schedules.split(BATCH):
            seen = []
            for i, (t, y) in enumerate(self._replayed(batch, columns, after)):
                ends = y[:, : self.rank]
                first = y[:, self.rank + goals * i :][:, :goals]
                second = ((ends @ bends[t]) * ends).sum(1, keepdim=True) / 2
                seen.append(self.losses[places[i]] + first + second)
            parts.append(torch.stack(seen, 1))
        return torch.cat(parts)

    def _mean_core(self, t: int) -> Tensor:
        """Return the mean over units of their curvature (r, r) after `t` updates."""
        mean = interpolated(self.bends, t, lambda place: self.cores[place].mean(0))
        return mean[:, : self.rank]

    def _replayed(
        self, schedules: Tensor, columns: Tensor, after: Collection[int]
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield y (O, r + n) after some updates: the readers, then `columns` of the losses."""
        count, steps, _ = schedules.shape
        r = self.rank
        kept = torch.cat([torch.arange(r), r + columns])
        tables = self.steps.unflatten(2, self.drifts.shape[1:])[..., kept].flatten(2)
        drifts = self.drifts[..., kept]
        y = self.cores.new_zeros(count, len(kept))
        mu = self.cores.new_zeros(count, self.coefficients.shape[2])
        alpha = self.cores.new_zeros(count, self.responses.shape[1])
        nu, coupled = torch.zeros_like(y), float(self.coupled)
        b1, b2 = (float(b) for b in self.beta)
        for t in range(steps):
            units = schedules[:, t]
            force = self.coefficients[t][units].mean(1)
            cores = interpolated(self.bends, t, self.cores.__getitem__)
            for unit, rows in sum_over_units(units):
                force.index_add_(0, rows, y[rows, :r] @ cores[unit], alpha=1 / units.shape[1])
            mu.lerp_(force, 1 - b1)
            alpha = b2 * alpha + self.responses[units].mean(1)
            matrix = interpolated(self.knots, t, tables.__getitem__)
            drift = interpolated(self.knots, t, drifts.__getitem__)
            moved = self._step(t, mu, alpha, matrix, drift)
            if coupled:
                moved.add_(nu.mul_(b1).add_(y, alpha=coupled), alpha=float(self.rates[t]))
            y.mul_(float(self.decay[t])).sub_(moved)
            if t + 1 in after:
                yield t + 1, y

    def _step(self, t: int, mu: Tensor, alpha: Tensor, matrix: Tensor, drift: Tensor) -> Tensor:
        """Return the rate times F (update of the schedules less that of the path), (O, f)."""
        pushed = (mu @ matrix).view(len(mu), *drift.shape) + drift
        scale = float(self.rates[t] / self.corrections[t])
        return (pushed[:, 0] + torch.einsum("oj,ojf->of", alpha, pushed[:, 1:])) * scale

    def save(self, path: str | Path, key: str) -> None:
        """Publish as a sealed file of study `key`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {
            name: value.numpy() if isinstance(value, Tensor) else value
            for name, value in values.items()
        }
        write_arrays(path, key, arrays)

    @classmethod
    def load(cls, path: str | Path, key: str | None) -> "Reduced":
        """Read what `save` published.

        Raises:
            UserError: missing, damaged, or of another study.

        """
        arrays = read_arrays(path, key, "reduced", [field.name for field in fields(cls)])
        values: dict[str, Any] = {}
        for field in fields(cls):
            array = arrays[field.name]
            values[field.name] = torch.from_numpy(array) if field.type is Tensor else array
        values["goals"] = list(values["goals"])
        return cls(**values)


@dataclass
class _Knot:
    """What replays of random schedules show before the update of one step.

    Attributes:
        t: the step.
        preconditioner: Dbar, (P,).
        patterns: p_j, (J, P).
        deviations: alpha of each replay, (O, J).

    """

    t: int
    preconditioner: Tensor
    patterns: Tensor
    deviations: Tensor


def reduce(
    expansion: Expansion,
    model: LowRank,
    schedules: Tensor,
    metric: Tensor,
    readouts: Sequence[int],
    patterns: int = PATTERNS,
) -> Reduced:
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
        seen = _preconditioners(expansion, model, schedules, knots, metric, patterns)
    else:
        seen = _alike(expansion, knots, len(schedules))
    end = path.parameters(path.steps)
    goals = [goal_gradients(problem, path.parameters(t)) for t in readouts]
    functionals = vectors.joined([model.readers, *goals, unit_gradients(problem, end)])
    matrices, drifts = [], []
    for knot, momentum in zip(seen, _momenta(expansion, model, knots), strict=True):
        weights = vectors.joined([knot.preconditioner[None], knot.patterns])
        for columns in vectors.blocks(*weights.shape):
            weights[1:, columns] *= weights[0, columns]
        matrices.append(
            torch.stack([vectors.products(functionals, model.basis, row) for row in weights])
        )
        drift = [vectors.products(functionals, momentum[None], row)[:, 0] for row in weights]
        drift[0] -= vectors.products(functionals, _pushed(expansion, knot.t)[None])[:, 0]
        drifts.append(torch.stack(drift))
    steps = [path.first_step + t for t in range(path.steps)]
    rates = np.array([optimizer.learning_rate(step) for step in steps])
    table = [model.coordinates(t, torch.arange(problem.units)[:, None]) for t in range(path.steps)]
    return Reduced(
        knots=knots,
        rates=rates,
        decay=1 - rates * optimizer.decoupled,
        corrections=np.array([optimizer.bias_corrections(step)[0] for step in steps]),
        coupled=np.array(optimizer.coupled),
        beta=np.array(optimizer.betas),
        coefficients=torch.stack(table),
        bends=model.bends,
        cores=(model.cores[:, model.labels] + model.own.mT @ model.own_read).mT.contiguous(),
        steps=torch.stack(matrices).permute(0, 3, 1, 2).flatten(2).contiguous(),
        drifts=torch.stack(drifts),
        responses=_unit_responses(seen, schedules, problem.units, optimizer.betas[1]),
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


def _pushed(expansion: Expansion, t: int) -> Tensor:
    """Return P m (P,) of the path's own update at step `t`."""
    path, optimizer = expansion.path, expansion.optimizer
    result = vectors.empty(expansion.problem.size, dtype=expansion.dtype)
    for columns in vectors.blocks(1, len(result)):
        state = path.state(t + 1, columns)
        result[columns] = optimizer.preconditioner(state) * optimizer.average(state)
    return result


def _momenta(expansion: Expansion, model: LowRank, steps: np.ndarray) -> Tensor:
    """Return mbar after the update of some steps, (K, P): momentum that is fed the mean gradient.

    That of the barycentre path is the same; that of the reference path follows its own order.
    """
    path, optimizer = expansion.path, expansion.optimizer
    kept = vectors.empty(len(steps), expansion.problem.size, dtype=model.basis.dtype)
    for columns in vectors.blocks(1, kept.shape[1]):
        momentum = optimizer.average(model.start.columns(columns)).clone()
        for t in range(int(steps[-1]) + 1):
            pushed = model.mean_gradient(t, columns)
            if optimizer.coupled:
                pushed = pushed.add(path.parameters(t, columns), alpha=optimizer.coupled)
            momentum.lerp_(pushed, 1 - optimizer.betas[0])
            kept[steps == t, columns] = momentum
    return kept


class _Watched(Nystrom):
    """A replay that keeps the preconditioners at some steps."""

    def __init__(self, expansion: Expansion, model: LowRank, steps: np.ndarray) -> None:
        super().__init__(expansion, model)
        self.watched = {int(t) + 1 for t in steps}
        self.kept: dict[int, Tensor] = {}

    def follow(self, state, schedules, first, observe):  # type: ignore[no-untyped-def]
        def watch(t: int, parameters: Tensor) -> None:
            if t in self.watched:
                self.kept[t] = vectors.empty(*parameters.shape, dtype=parameters.dtype)
                for columns in vectors.blocks(*parameters.shape):
                    part = self.expansion.optimizer.preconditioner(state.columns(columns))
                    self.kept[t][:, columns] = part
            observe(t, parameters)

        super().follow(state, schedules, first, watch)


def _preconditioners(
    expansion: Expansion,
    model: LowRank,
    schedules: Tensor,
    knots: np.ndarray,
    metric: Tensor,
    count: int,
) -> list[_Knot]:
    """Return the preconditioners' mean and principal deviations at each knot."""
    about = Expansion(expansion.problem, expansion.optimizer, model, None)
    replay = _Watched(about, model, knots)
    replay.replay(schedules, lambda t, parameters: None)
    result = []
    for t in knots.tolist():
        rows = replay.kept.pop(t + 1)
        mean = vectors.empty(rows.shape[1], dtype=rows.dtype)
        for columns in vectors.blocks(*rows.shape):
            mean[columns] = rows[:, columns].mean(0)
            rows[:, columns] /= mean[columns]
            rows[:, columns] -= 1
        values, combined = torch.linalg.eigh(vectors.products(rows, rows, metric.square()).double())
        kept = combined.flip(1)[:, :count].to(rows.dtype)
        leading = values.flip(0)[:count]
        there = leading > 1e-6 * leading.clamp(min=0).sum()  # few units, few patterns
        lengths = leading.where(there, torch.inf).sqrt().to(rows.dtype)
        scale = lengths.where(there, 0.0)
        result.append(_Knot(t, mean, vectors.combined((kept / lengths).T, rows), kept * scale))
    return _aligned(result, metric)


def _alike(expansion: Expansion, knots: np.ndarray, replays: int) -> list[_Knot]:
    """Return the knots of a preconditioner that is the same for all schedules."""
    result = []
    for t in knots.tolist():
        own = expansion.optimizer.preconditioner(expansion.path.state(t + 1))
        result.append(_Knot(t, own, own.new_zeros(0, len(own)), own.new_zeros(replays, 0)))
    return result


def _aligned(knots: list[_Knot], metric: Tensor) -> list[_Knot]:
    """Turn each knot's patterns towards the one's before, so that they can be interpolated."""
    done = knots[:1]
    for knot in knots[1:]:
        product = vectors.products(knot.patterns, done[-1].patterns, metric.square())
        left, _, right = torch.linalg.svd(product)
        turn = left @ right
        patterns = vectors.combined(turn.T, knot.patterns)
        done.append(_Knot(knot.t, knot.preconditioner, patterns, knot.deviations @ turn))
    return done


def _unit_responses(knots: list[_Knot], schedules: Tensor, units: int, beta2: float) -> Tensor:
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

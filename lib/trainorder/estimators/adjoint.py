"""`adjoint`: the first-order effect of each unit at each step on each loss, by one backward sweep.

The exact derivative of the end of training in what each step consumed: TracIn (Pruthi et al. 2020,
arXiv 2002.08484, section 3) approximates it by products of gradients without curvature and moments;
MAGIC (Ilyas and Engstrom 2025, arXiv 2504.16430) computes it for leaving out training examples. See
`docs/method`, "Adjoint".
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from trainorder.estimators.second_derivatives import has_second_derivatives
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.expansion import Expansion
from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import Loss, value_and_gradient
from trainorder.numerics.hessian import HessianProducts, differenced_products, exact_products
from trainorder.numerics.rows import Rows, blocks
from trainorder.storage.sealed_hdf5 import opened, read_arrays, write_arrays
from trainorder.training.adjoint_step import pulled_back, through_clipping
from trainorder.training.averaged_states import AveragedStates, averaged_steps
from trainorder.training.optimizer import State
from trainorder.training.problem import Problem

BATCH = 2048  # schedules at once
_AVERAGED = "averaged_states"  # an attribute of the file, if there are means


@dataclass(frozen=True)
class PathEffects:
    """L(order) = L(path) + sum over t of [mean of E_tu over the units u of step t, minus E_t].

    E_tu = <lambda_t, g_u(theta_t)>, where lambda_t is the derivative of the loss at the end in the
    gradient of step t of the path, and E_t is the effect of what the path consumes. Any schedule
    can be estimated, also one that repeats or omits units.

    Attributes:
        effects: E, (T, U, L) float64, of L losses: those of the D goals at the end of the path,
            then, with `averaged_states`, those at the mean of its last states.
        consumed: E_t, (T, L) float64: the mean effect of what the path's own step consumes.
        losses: (L,) float64, at the path.
        goals: the D names of the goals.
        averaged_states: number of last states of the mean; None for no mean.

    """

    effects: Tensor
    consumed: Tensor
    losses: Tensor
    goals: list[str]
    averaged_states: int | None = None

    def predict(self, schedules: Tensor) -> Tensor:
        """Return the losses (O, L) float64 at the end of `schedules` (O, T, k) int64."""
        steps = torch.arange(len(self.effects))[:, None]
        base = self.losses - self.consumed.sum(0)
        parts = [self.effects[steps, part].mean(2).sum(1) for part in schedules.split(BATCH)]
        return base + torch.cat(parts)

    def save(self, path: str | Path, key: str) -> None:
        """Publish as a sealed file of study `key`."""
        arrays = {name: getattr(self, name).numpy() for name in ("effects", "consumed", "losses")}
        count = self.averaged_states
        attributes = {} if count is None else {_AVERAGED: count}
        write_arrays(path, key, arrays | {"goals": self.goals}, **attributes)

    @classmethod
    def load(cls, path: str | Path, key: str | None) -> "PathEffects":
        """Read what `save` published.

        Raises:
            UserError: the file is missing, damaged or from another study.

        """
        names = [field.name for field in fields(cls) if field.name != _AVERAGED]
        arrays = read_arrays(path, key, "effects", names)
        with opened(path, key, "effects") as file:
            count = file.attrs.get(_AVERAGED)
        goals = list(arrays.pop("goals"))
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return cls(**tensors, goals=goals, averaged_states=None if count is None else int(count))


@dataclass(frozen=True)
class Part:
    """A part of what a step of the path consumes.

    Attributes:
        units: (n,) int64, the units whose mean gradient is that of the part.
        weight: its share of the gradient of the step; the weights of a step sum to 1.
        loss: maps (P,) to a scalar with the curvature of the part.
        sequences: number of sequences of `loss`.

    """

    units: Tensor
    weight: float
    loss: Loss
    sequences: int


@dataclass(frozen=True)
class PathSteps:
    """What the steps of a path consume.

    Attributes:
        parts: of each of the T steps.
        spread: c. A step of the path gives v the square gbar^2 + c Var_u(g) of its gradient.

    """

    parts: Sequence[Sequence[Part]]
    spread: float = 0.0


def reference_steps(problem: Problem, schedule: np.ndarray) -> PathSteps:
    """Return the steps of a training along `schedule` (T, k): the k units of each step."""

    def part(unit: int) -> Part:
        loss = partial(problem.loss, unit=unit)
        return Part(torch.tensor([unit]), 1 / schedule.shape[1], loss, problem.sequences)

    return PathSteps([[part(unit) for unit in units] for units in schedule.tolist()])


def barycentre_steps(
    problem: Problem, clusters: Clusters, steps: int, units_per_step: int
) -> PathSteps:
    """Return the steps of the barycentre path: at each step all units, by cluster.

    The gradients are those of all units, and the curvature of a cluster is that of its pool.

    Args:
        problem: the units' losses.
        clusters: the cluster of each unit, with pools.
        steps: T.
        units_per_step: k.

    """
    parts = [
        Part(
            torch.from_numpy(np.flatnonzero(clusters.labels == cluster)),
            float(clusters.shares[cluster]),
            partial(problem.sample_loss, rows=pool),
            len(pool),
        )
        for cluster, pool in enumerate(clusters.pools)
    ]
    n, k = problem.units, units_per_step
    return PathSteps([parts] * steps, (n - k) / (k * max(1, n - 1)))


def path_effects(
    expansion: Expansion, consumed: PathSteps, averaged_states: int | None = None
) -> PathEffects:
    """Return the effects of all units at all steps of a path.

    Args:
        expansion: problem, optimizer, path and gradient table.
        consumed: what the steps of the path consume.
        averaged_states: number of last states whose mean is read, too; None for none.

    """
    problem, steps = expansion.problem, expansion.path.steps
    readouts = [_Readout.at(expansion, range(steps, steps + 1))]
    if averaged_states is not None:
        readouts.append(_Readout.at(expansion, averaged_steps(steps, averaged_states)))
    sweep = _Sweep(expansion, consumed, readouts, _products(expansion))
    effects = [sweep.effects(steps - 1 - i) for i in trange(steps, desc="adjoint", mininterval=2)]
    effects.reverse()
    means = [
        sum((part.weight * step[part.units].mean(0) for part in parts), torch.zeros(()))
        for parts, step in zip(consumed.parts, effects, strict=True)
    ]
    losses = torch.cat([readout.losses for readout in readouts])
    return PathEffects(
        torch.stack(effects), torch.stack(means), losses, list(problem.goals), averaged_states
    )


def _products(expansion: Expansion) -> HessianProducts:
    """Return exact products if autograd can differentiate the model twice, else differences."""
    return exact_products if has_second_derivatives(expansion) else differenced_products


@dataclass(frozen=True)
class _Readout:
    """The D goals at the mean of some states of the path.

    Attributes:
        losses: (D,) float64.
        gradients: (D, P), by the states.
        states: numbers of updates of the window.

    """

    losses: Tensor
    gradients: Tensor
    states: range

    @classmethod
    def at(cls, expansion: Expansion, states: range) -> "_Readout":
        """Read the goals at the mean of the path's states after `states` updates."""
        problem, goals = expansion.problem, range(len(expansion.problem.goals))
        averages = AveragedStates([states[-1]], len(states))
        for t in states:
            averages.add(t, expansion.parameters(t))
        theta = averages.take(states[-1])
        assert theta is not None
        losses = torch.zeros(len(goals), dtype=torch.float64)
        gradients = large_tensors.empty(len(goals), problem.size, dtype=expansion.dtype)
        for goal in goals:
            value, row = value_and_gradient(partial(problem.goal_loss, goal=goal), theta)
            losses[goal] = float(value)
            gradients[goal] = row / len(states)
        return cls(losses, gradients, states)


class _Sweep:
    """The adjoints of the path's state for L losses, which move backwards step by step."""

    def __init__(
        self,
        expansion: Expansion,
        consumed: PathSteps,
        readouts: Sequence[_Readout],
        products: HessianProducts,
    ) -> None:
        """Start after the last step, where all adjoints are 0."""
        self._expansion, self._consumed = expansion, consumed
        self._readouts, self._products = readouts, products
        rows = sum(len(readout.gradients) for readout in readouts)
        zeros = partial(large_tensors.zeros, rows, expansion.problem.size, dtype=expansion.dtype)
        end = expansion.path.first_step + expansion.path.steps
        self._adjoint = State(zeros(), zeros(), zeros(), end)

    def effects(self, t: int) -> Tensor:
        """Move from after step `t` to before it, and return its effects (U, L) float64."""
        optimizer, c = self._expansion.optimizer, self._consumed.spread
        self._read(t + 1)
        after = self._expansion.path.state(t + 1)
        linear, square = pulled_back(optimizer, after, self._adjoint)
        parts = self._consumed.parts[t]
        gradients = self._gradients(t, parts)
        weights = torch.tensor([[part.weight for part in parts]], dtype=gradients.dtype)
        [g] = gradients.combine(weights)
        through_clipping(optimizer, g, partial(self._square, t, g), (linear, square))
        for total, part, row in blocks(Rows(linear), Rows(square), g):
            total += 2 * (1 - c) * row * part
        if t:  # nothing depends on the state before the window
            for part, row in zip(parts, gradients, strict=True):
                self._add_curvature(t, part, self._directions(linear, square, row))
        return self._of_units(t, linear, square)

    def _read(self, t: int) -> None:
        """Add the derivatives of the losses that are read at the state after `t` updates."""
        row = 0
        for readout in self._readouts:
            rows = slice(row, row + len(readout.gradients))
            row = rows.stop
            if t in readout.states:
                adjoint = Rows(self._adjoint.parameters[rows])
                for total, part in blocks(adjoint, Rows(readout.gradients)):
                    total += part

    def _gradients(self, t: int, parts: Sequence[Part]) -> Rows:
        """Return the mean gradient (N, P) of the units of each of N parts at step `t`."""
        expansion = self._expansion

        def means(columns: slice) -> Tensor:
            return torch.stack([self._table(t, part.units, columns).mean(0) for part in parts])

        rows = Rows.empty(len(parts), expansion.problem.size, dtype=expansion.dtype)
        return rows.fill(lambda block: block, means)

    def _square(self, t: int, g: Tensor, columns: slice) -> Tensor:
        """Return a block of the square that the step gives to v, for its mean gradient g (P,)."""
        c = self._consumed.spread
        square = (1 - c) * g[columns].square()
        if not c:
            return square
        units = torch.arange(self._expansion.problem.units)
        return square + c * self._table(t, units, columns).square().mean(0)

    def _directions(self, linear: Tensor, square: Tensor, g: Tensor) -> Rows:
        """Return the adjoints (L, P) of the gradient g (P,) of a part."""
        c = self._consumed.spread
        if not c:
            return Rows(linear)
        return (
            Rows(linear)
            .copy()
            .map_blocks(lambda total, part, row: total + 2 * c * row * part, Rows(square), g)
        )

    def _add_curvature(self, t: int, part: Part, directions: Rows) -> None:
        """Add the Hessian of a part times `directions` (L, P) to the adjoint of theta_t."""
        problem, theta = self._expansion.problem, self._expansion.parameters(t)
        if self._products is exact_products:  # differences of gradients count themselves
            problem.meter.add("hvps", part.sequences * len(directions))
        products = self._products(part.loss, theta, directions)
        for row, product in zip(self._adjoint.parameters, products, strict=True):
            row.add_(product, alpha=part.weight)
            large_tensors.release_pages()

    def _of_units(self, t: int, linear: Tensor, square: Tensor) -> Tensor:
        """Return <linear, G_tu> + c <square, G_tu^2> for each unit and loss, (U, L) float64."""
        units, c = torch.arange(self._expansion.problem.units), self._consumed.spread
        total = torch.zeros(len(units), len(linear), dtype=torch.float64)
        for columns in large_tensors.column_blocks(len(units) + 2 * len(linear), linear.shape[1]):
            table = self._table(t, units, columns)
            total += table @ linear[:, columns].T
            if c:
                total += c * (table.square() @ square[:, columns].T)
        return total

    def _table(self, t: int, units: Tensor, columns: slice) -> Tensor:
        table = self._expansion.table
        if table is None:
            raise ValueError("the adjoint needs the gradient table, but `table` is None")
        return table.rows(t, units, columns)

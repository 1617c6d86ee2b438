"""The barycentre path: the run that stands at the centre of all schedules."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from trainorder.errors import DivergedError, UserError
from trainorder.expansion.clusters import Clusters
from trainorder.numerics import large_tensors
from trainorder.numerics.countsketch import SparseJL
from trainorder.numerics.derivatives import gradient
from trainorder.storage.sealed_hdf5 import create_rows, creating, opened
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.optimizer import Optimizer, State
from trainorder.training.problem import Problem, each_gradient

_PARTS = 4  # of a pool: their spread tells the variance of one sequence
_SKETCH_ROWS = 1024


@dataclass
class Moments:
    """Mean and variance over units of the units' gradients, (P,) float64 each."""

    mean: Tensor
    variance: Tensor
    groups: Tensor  # (C, P): the mean gradient of each cluster; (0, P) where none is known

    @classmethod
    def empty(cls, clusters: int, size: int, dtype: torch.dtype) -> "Moments":
        """Return moments of 0, to be filled; the groups are of `dtype`."""
        mean, variance = large_tensors.zeros(2, size, dtype=torch.float64)
        return cls(mean, variance, large_tensors.empty(clusters, size, dtype=dtype))


def exact_moments(gradients: Iterable[Tensor]) -> Moments:
    """Return the moments of the units' `gradients`, U of (P,), summed in float64."""
    rows = iter(gradients)
    row, units = next(rows, None), 0
    moments = Moments.empty(0, 0 if row is None else len(row), torch.float64)
    mean, square = moments.mean, moments.variance
    while row is not None:
        for columns in large_tensors.column_blocks(1, len(mean)):
            g = row[columns].double()
            mean[columns] += g
            square[columns] += g**2
        row, units = next(rows, None), units + 1
    for columns in large_tensors.column_blocks(1, len(mean)):
        mean[columns] /= units
        square[columns] = (square[columns] / units - mean[columns] ** 2).clamp(min=0)
    return moments


def pooled_moments(problem: Problem, clusters: Clusters, theta: Tensor) -> Moments:
    """Return the moments at `theta` (P,) estimated from the pools of the clusters.

    A unit's gradient is that of its cluster plus the mean noise of its S sequences, so that
    Var_u = Var of the cluster means over units + E[sigma_c^2 / S (1 - 1/m_c)] for m_c units in the
    cluster. sigma_c^2, the variance of one sequence, is read from the spread of the parts of a
    pool; the noise that it leaves in the cluster means is taken off their variance: sigma_c^2 / n
    (1 - n / (m_c S)), for a pool of n is drawn without replacement.
    """
    pools = [np.array_split(pool, min(_PARTS, len(pool))) for pool in clusters.pools]
    rows = [_part_gradients(problem, theta, parts) for parts in pools]
    counts = [[float(len(part)) for part in parts] for parts in pools]
    moments = Moments.empty(clusters.count, problem.size, theta.dtype)
    for columns in large_tensors.column_blocks(2 * sum(map(len, rows)), problem.size):
        blocks = [part[:, columns].double() for part in rows]
        mean, variance, groups = _pooled(clusters, problem.sequences, counts, blocks)
        moments.mean[columns], moments.variance[columns] = mean, variance
        moments.groups[:, columns] = groups.to(theta.dtype)
    return moments


def _part_gradients(problem: Problem, theta: Tensor, parts: Sequence[np.ndarray]) -> Tensor:
    """Return the gradients (n, P) of the parts of a pool."""
    problem.meter.add("sequences", sum(map(len, parts)))
    rows = (gradient(partial(problem.sample_loss, rows=part), theta) for part in parts)
    return large_tensors.stack(rows, (len(parts), problem.size), theta.dtype)


def _pooled(
    clusters: Clusters, sequences: int, counts: Sequence[Sequence[float]], parts: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance (b,), and the clusters' means (C, b), of a block.

    `parts` are the gradients (n, b) of the parts of each pool, with `counts` sequences each.
    """
    means, noises, sizes = [], [], []
    for rows, sizes_of_parts in zip(parts, counts, strict=True):
        weight = torch.tensor(sizes_of_parts, dtype=torch.float64)[:, None]
        mean = (weight * rows).sum(0) / weight.sum()
        means.append(mean)
        noises.append((weight * (rows - mean) ** 2).sum(0) / max(1, len(rows) - 1))
        sizes.append(weight.sum())
    groups, noise = torch.stack(means), torch.stack(noises)
    share = torch.from_numpy(clusters.shares)[:, None]
    members = torch.from_numpy(np.bincount(clusters.labels))[:, None]
    left_out = torch.from_numpy(clusters.missing_shares(sequences))[:, None]
    left = noise / torch.stack(sizes)[:, None] * left_out
    mean = (share * groups).sum(0)
    between = (share * (groups - mean) ** 2).sum(0) - (share * (1 - share) * left).sum(0)
    within = (share * noise * (1 - 1 / members)).sum(0) / sequences
    return mean, between.clamp(min=0) + within, groups


def barycentre_step(
    moments: Moments, optimizer: Optimizer, state: State, units: int, units_per_step: int
) -> None:
    """Advance `state` in place by the step that averages over all schedules.

    The gradient is the mean over all U units; the second moment takes the expected square of the
    mean of k = `units_per_step` units drawn without replacement (DESIGN section 2):
    E[g^2] = gbar^2 + Var_u(g) / k (U - k) / (U - 1), with Var over the U units.
    """
    n, k, dtype = units, units_per_step, state.parameters.dtype
    scale = optimizer.clip_scale(large_tensors.squared_norms(moments.mean).sqrt())
    for columns in large_tensors.column_blocks(1, len(moments.mean)):
        mean, part = moments.mean[columns], state.columns(columns)
        expected = mean**2 + moments.variance[columns] / k * (n - k) / max(1, n - 1)
        optimizer.apply(part, (mean * scale).to(dtype), expected.to(dtype))
    state.step += 1


class CentredMoments:
    """Moments between anchors: exact at the last one, plus what the pools have seen change since.

    The noise of the pools cancels in the difference (Johnson and Zhang 2013, the variance reduction
    of SVRG), so that the path does not run after its own sample.
    """

    def __init__(self, problem: Problem, clusters: Clusters, exact: Moments, theta: Tensor) -> None:
        """Stand at the anchor `theta` (P,), where the moments are `exact`."""
        self.problem, self.clusters, self.exact = problem, clusters, exact
        self.anchor = pooled_moments(problem, clusters, theta)

    def at(self, theta: Tensor) -> Moments:
        """Return the moments at `theta` (P,); their groups are the pools' own."""
        now = pooled_moments(self.problem, self.clusters, theta)
        exact, anchor = self.exact, self.anchor
        for columns in large_tensors.column_blocks(1, len(theta)):
            now.mean[columns] += exact.mean[columns] - anchor.mean[columns]
            known = exact.variance[columns]
            variance = known + now.variance[columns] - anchor.variance[columns]
            # a variance that the pools see shrink below nothing stays what it was at the anchor
            now.variance[columns] = torch.where(variance > 0, variance, known)
        return now


class Anchors:
    """Decides which steps are anchors: given ones, or as the interpolation error asks for them.

    Linear interpolation errs most in the middle. So a step becomes an anchor when the gradients
    half-way since the last one are off the straight line between the two by `tolerance` or more,
    relative to the spread of the clusters' gradients.
    """

    def __init__(self, steps: int, given: np.ndarray | None, tolerance: float) -> None:
        """Decide for a window of `steps`; `given` (K,) fixes the anchors."""
        self.steps, self.tolerance = steps, tolerance
        self.given = None if given is None else set(given.tolist())
        self._since: list[np.ndarray] = []  # sketches (C, k) since the last anchor

    def start(self, sketches: np.ndarray) -> None:
        """Stand at an anchor, with the clusters' gradients `sketches` (C, k)."""
        self._since = [sketches - sketches.mean(axis=0)]

    def take(self, t: int, sketches: np.ndarray) -> bool:
        """Return whether step `t`, with the clusters' gradients `sketches` (C, k), is an anchor."""
        self._since.append(sketches - sketches.mean(axis=0))
        if self.given is not None:
            return t in self.given
        return t == self.steps - 1 or self._error() >= self.tolerance

    def _error(self) -> float:
        first, last, n = self._since[0], self._since[-1], len(self._since) - 1
        middle = n // 2
        straight = first + (last - first) * (middle / n)
        scale = np.linalg.norm(first)
        return float(np.linalg.norm(self._since[middle] - straight) / scale) if scale else 0.0


def run_barycentre(
    problem: Problem,
    clusters: Clusters | None,
    optimizer: Optimizer,
    start: State,
    units_per_step: int,
    anchors: Anchors,
    checkpoints: Checkpoints,
    key: str,
) -> np.ndarray:
    """Run the barycentre path and its gradient table, resuming where a killed run stopped.

    At an anchor the gradient of every unit is computed, for the path and for the table; between
    anchors the path is advanced from the pools alone.

    Args:
        problem: the units' losses.
        clusters: pools for the steps between anchors; None where every step is an anchor.
        optimizer: the update.
        start: the state before the window.
        units_per_step: k.
        anchors: decides which steps are anchors.
        checkpoints: keeps the state before every step and the last; `anchor_file` beside them the
            table.
        key: the study key that the anchors' files carry.

    Returns:
        (K,) the anchors.

    Raises:
        UserError: a parameter is not finite.

    """
    sketch = SparseJL(problem.size, _SKETCH_ROWS)
    checkpoints.save(start)
    state = start.clone()
    chosen: list[int] = []
    centred: CentredMoments | None = None
    for t in trange(anchors.steps, desc="barycentre", mininterval=2):
        anchor = centred is None
        if centred is not None:
            moments = centred.at(state.parameters)
            anchor = anchors.take(t, sketch(moments.groups).numpy())
        if anchor:
            chosen.append(t)
            moments = _anchor_moments(problem, state.parameters, checkpoints, t, key)
            if clusters is not None:
                centred = CentredMoments(problem, clusters, moments, state.parameters)
                anchors.start(sketch(centred.anchor.groups).numpy())
        barycentre_step(moments, optimizer, state, problem.units, units_per_step)
        _check_finite(state, t, optimizer)
        checkpoints.save(state)
    return np.array(chosen)


def anchor_file(checkpoints: Checkpoints, t: int) -> Path:
    """Return where the table row of anchor `t` lies until the path is complete."""
    return checkpoints.folder / f"anchor-{t:06d}.h5"


def anchor_gradients(
    checkpoints: Checkpoints, anchors: np.ndarray, key: str
) -> Iterator[Iterator[Tensor]]:
    """Yield, for each anchor of a path that was run, its gradients: U of (P,), one at a time."""
    for t in anchors.tolist():
        with opened(anchor_file(checkpoints, t), key, "barycentre") as file:
            rows = file["gradient"]
            yield (torch.from_numpy(rows[unit]) for unit in range(len(rows)))


def _anchor_moments(
    problem: Problem, theta: Tensor, checkpoints: Checkpoints, t: int, key: str
) -> Moments:
    """Return the exact moments at an anchor; its gradients are computed once, and kept.

    A file of them that cannot be read counts as absent.
    """

    def kept() -> Moments:
        [moments] = map(exact_moments, anchor_gradients(checkpoints, np.array([t]), key))
        return moments

    try:
        return kept()
    except UserError:
        with creating(anchor_file(checkpoints, t), key) as made:
            shape, dtype = (problem.units, problem.size), theta.numpy().dtype.str
            rows = create_rows(made, "gradient", shape, dtype)
            for unit, g in enumerate(each_gradient(problem, theta)):
                rows[unit] = g.numpy()
                del g  # not held while the next one is computed
        return kept()


def _check_finite(state: State, t: int, optimizer: Optimizer) -> None:
    if not large_tensors.all_finite(state.parameters):
        raise DivergedError(
            f"barycentre: step {t}: its update left parameters that are not finite; "
            f"lower optimizer.learning_rate (now {optimizer.config.learning_rate:g})"
        )

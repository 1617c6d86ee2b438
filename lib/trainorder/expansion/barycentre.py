"""The barycentre path: the training that averages over all schedules at every step.

See `docs/method`, "Barycentre".
"""

from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import trange

from trainorder.errors import DivergedError
from trainorder.expansion.anchor_files import AnchorFiles
from trainorder.expansion.anchors import Anchors, MeasuredAnchors, PathAnchors
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.gradient_moments import CentredMoments, Moments, pooled_moments
from trainorder.expansion.pools import Pools
from trainorder.numerics import large_tensors
from trainorder.numerics.countsketch import SparseJL
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.optimizer import Optimizer, State
from trainorder.training.problem import Problem

_SKETCH_ROWS = 1024


def barycentre_step(
    moments: Moments, optimizer: Optimizer, state: State, units: int, units_per_step: int
) -> None:
    """Advance `state` in place by the step averaged over all schedules.

    The gradient is the mean over all U units; the second moment takes the expected square of the
    mean of k = `units_per_step` units drawn without replacement:
    E[g^2] = gbar^2 + Var_u(g) / k (U - k) / (U - 1), with Var over the U units. Clipping scales
    both as it scales a gradient with the squared norm E|g|^2.
    """
    n, k, dtype = units, units_per_step, state.parameters.dtype

    def expected_square(columns: slice) -> Tensor:
        variance = moments.variance[columns] / k * (n - k) / max(1, n - 1)
        return moments.mean[columns] ** 2 + variance

    scale = _clip_scale(optimizer, expected_square, len(moments.mean))
    for columns in large_tensors.column_blocks(1, len(moments.mean)):
        mean, part = moments.mean[columns], state.columns(columns)
        expected = expected_square(columns) * scale**2
        optimizer.columns(columns).apply(part, (mean * scale).to(dtype), expected.to(dtype))
    state.step += 1


def _clip_scale(
    optimizer: Optimizer, expected_square: Callable[[slice], Tensor], size: int
) -> float:
    """Return the clipping factor of a gradient whose squares are as expected; see the step."""
    if optimizer.config.gradient_clip is None:
        return 1.0
    columns = large_tensors.column_blocks(1, size)
    squares = torch.stack([expected_square(block).sum() for block in columns])
    return float(optimizer.clip_scale(squares.sum().sqrt()))


def run_barycentre(
    problem: Problem,
    clusters: Clusters | None,
    optimizer: Optimizer,
    start: State,
    units_per_step: int,
    anchors: Anchors,
    checkpoints: Checkpoints,
    key: str,
) -> PathAnchors:
    """Compute the barycentre path and the gradients at its anchors.

    At a measured anchor, the gradient of every unit is computed for the path and for the table. At
    other steps, only the pools are used. The pools are differentiated once at every step.

    If an earlier job was interrupted, the path starts again at its first step. The gradients of all
    units at the measured anchors are read from the files that the earlier job left; the pools are
    differentiated again.

    Args:
        problem: the units' losses.
        clusters: pools for the steps between anchors; None where every step is measured.
        optimizer: the update.
        start: the state before the window.
        units_per_step: k.
        anchors: decides which steps are anchors.
        checkpoints: stores the state before every step and the last one. The gradients at the
            anchors are stored beside them, see `AnchorFiles`.
        key: the study key that the anchors' files carry.

    Returns:
        The anchors.

    Raises:
        DivergedError: a parameter is not finite.

    """
    checkpoints.save(start)
    state, files, chosen = start.clone(), AnchorFiles(checkpoints.folder, key), PathAnchors()
    along = _MomentsAlongPath(problem, clusters, anchors, files, chosen) if clusters else None
    for t in trange(anchors.steps, desc="barycentre", mininterval=2):
        if along:
            moments = along.at(t, state.parameters)
        else:
            chosen.add(t, measured=True)
            moments = files.measure(t, problem, state.parameters)
        barycentre_step(moments, optimizer, state, problem.units, units_per_step)
        _check_finite(state, t, optimizer)
        checkpoints.save(state)
    return chosen


class _MomentsAlongPath:
    """The moments at each step in turn, where the anchors are selected on the way."""

    def __init__(
        self,
        problem: Problem,
        clusters: Clusters,
        anchors: Anchors,
        files: AnchorFiles,
        chosen: PathAnchors,
    ) -> None:
        """Select `anchors`, write their gradients to `files` and add them to `chosen`."""
        self._problem, self._pools = problem, Pools(clusters, problem.sequences)
        self._anchors, self._files, self._chosen = anchors, files, chosen
        self._measured = MeasuredAnchors(self._pools, anchors)
        self._sketch = SparseJL(problem.size, _SKETCH_ROWS)
        self._centred: CentredMoments | None = None

    def at(self, t: int, theta: Tensor) -> Moments:
        """Return the moments at step `t`, whose parameters are `theta` (P,)."""
        parts = self._pools.gradients(self._problem, theta)
        pooled = pooled_moments(self._pools, parts)
        sketches = self._sketch(parts.tensor).double().numpy()
        is_next = self._measured.is_next(sketches)
        if self._anchors.take(t, self._pools.sketch_means(sketches)):
            self._files.save_clusters(t, self._pools.means(parts))
            self._chosen.add(t, measured=is_next)
            if is_next:
                exact = self._files.measure(t, self._problem, theta)
                self._centred = CentredMoments(exact, pooled)
                self._measured.start(exact)
                return exact
        assert self._centred is not None  # the first step is a measured anchor
        return self._centred.at(pooled)


def _check_finite(state: State, t: int, optimizer: Optimizer) -> None:
    if not large_tensors.all_finite(state.parameters):
        raise DivergedError(
            f"barycentre: step {t}: the update gives non-finite parameters; "
            f"lower optimizer.learning_rate (now {optimizer.config.learning_rate:g})"
        )

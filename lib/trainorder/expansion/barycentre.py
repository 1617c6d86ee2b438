"""The barycentre path: the training that averages over all schedules at every step.

See `docs/method`, "Barycentre".
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from trainorder.errors import DivergedError, UserError
from trainorder.expansion.anchors import Anchors
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.gradient_moments import (
    CentredMoments,
    Moments,
    exact_moments,
    pooled_moments,
)
from trainorder.numerics import large_tensors
from trainorder.numerics.countsketch import SparseJL
from trainorder.storage.sealed_hdf5 import create_rows, creating, opened
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.optimizer import Optimizer, State
from trainorder.training.problem import Problem, each_gradient

_SKETCH_ROWS = 1024


def barycentre_step(
    moments: Moments, optimizer: Optimizer, state: State, units: int, units_per_step: int
) -> None:
    """Advance `state` in place by the step averaged over all schedules.

    The gradient is the mean over all U units; the second moment takes the expected square of the
    mean of k = `units_per_step` units drawn without replacement:
    E[g^2] = gbar^2 + Var_u(g) / k (U - k) / (U - 1), with Var over the U units.
    """
    n, k, dtype = units, units_per_step, state.parameters.dtype
    scale = optimizer.clip_scale(large_tensors.squared_norms(moments.mean).sqrt())
    for columns in large_tensors.column_blocks(1, len(moments.mean)):
        mean, part = moments.mean[columns], state.columns(columns)
        expected = mean**2 + moments.variance[columns] / k * (n - k) / max(1, n - 1)
        optimizer.apply(part, (mean * scale).to(dtype), expected.to(dtype))
    state.step += 1


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
    """Compute the barycentre path and its gradient table; resume after an interruption.

    At an anchor, the gradient of every unit is computed for the path and for the table. Between
    anchors, only the pools are used. The pools are differentiated once at every step.

    Args:
        problem: the units' losses.
        clusters: pools for the steps between anchors; None where every step is an anchor.
        optimizer: the update.
        start: the state before the window.
        units_per_step: k.
        anchors: decides which steps are anchors.
        checkpoints: stores the state before every step and the last one. The gradients at the
            anchors are stored beside them, see `anchor_file`.
        key: the study key that the anchors' files carry.

    Returns:
        (K,) the anchors.

    Raises:
        DivergedError: a parameter is not finite.

    """
    sketch = SparseJL(problem.size, _SKETCH_ROWS)
    checkpoints.save(start)
    state = start.clone()
    chosen: list[int] = []
    centred: CentredMoments | None = None
    for t in trange(anchors.steps, desc="barycentre", mininterval=2):
        if clusters is None:
            chosen.append(t)
            moments = _anchor_moments(problem, state.parameters, checkpoints, t, key)
        else:
            pooled = pooled_moments(problem, clusters, state.parameters)
            groups = sketch(pooled.groups.tensor).numpy()
            if centred is None or anchors.take(t, groups):
                chosen.append(t)
                moments = _anchor_moments(problem, state.parameters, checkpoints, t, key)
                centred = CentredMoments(moments, pooled)
                anchors.start(groups)
            else:
                moments = centred.at(pooled)
        barycentre_step(moments, optimizer, state, problem.units, units_per_step)
        _check_finite(state, t, optimizer)
        checkpoints.save(state)
    return np.array(chosen)


def anchor_file(checkpoints: Checkpoints, t: int) -> Path:
    """Return the file of the gradients at anchor `t`, which is used until the path is complete."""
    return checkpoints.folder / f"anchor-{t:06d}.h5"


def anchor_gradients(
    checkpoints: Checkpoints, anchors: np.ndarray, key: str
) -> Iterator[Iterator[Tensor]]:
    """Yield the gradients at each anchor of a finished path: U of (P,), one at a time."""
    for t in anchors.tolist():
        with opened(anchor_file(checkpoints, t), key, "barycentre") as file:
            rows = file["gradient"]
            yield (torch.from_numpy(rows[unit]) for unit in range(len(rows)))


def _anchor_moments(
    problem: Problem, theta: Tensor, checkpoints: Checkpoints, t: int, key: str
) -> Moments:
    """Return the exact moments at an anchor; its gradients are computed once, and kept.

    A file of them that cannot be read counts as absent. The gradients in a file that an interrupted
    job left are counted as computed, so that costs do not depend on interruptions.
    """

    def kept() -> Moments:
        [moments] = map(exact_moments, anchor_gradients(checkpoints, np.array([t]), key))
        return moments

    try:
        moments = kept()
    except UserError:
        with creating(anchor_file(checkpoints, t), key) as made:
            shape, dtype = (problem.units, problem.size), theta.numpy().dtype.str
            rows = create_rows(made, "gradient", shape, dtype)
            for unit, g in enumerate(each_gradient(problem, theta)):
                rows[unit] = g.numpy()
                del g  # not held while the next one is computed
        return kept()
    problem.meter.add("gradients", problem.units * problem.sequences)
    return moments


def _check_finite(state: State, t: int, optimizer: Optimizer) -> None:
    if not large_tensors.all_finite(state.parameters):
        raise DivergedError(
            f"barycentre: step {t}: the update gives non-finite parameters; "
            f"lower optimizer.learning_rate (now {optimizer.config.learning_rate:g})"
        )

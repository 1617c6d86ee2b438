"""The barycentre path: the run that stands at the centre of all schedules."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from trainorder.checkpoints import Checkpoints
from trainorder.derivatives import gradient
from trainorder.errors import UserError
from trainorder.optimizer import AdamW, State
from trainorder.problem import Problem
from trainorder.store import creating
from trainorder.table import Span, create_table


def barycentre_step(
    problem: Problem,
    optimizer: AdamW,
    state: State,
    units_per_step: int,
    visit: Callable[[int, Tensor], None],
) -> None:
    """Advance `state` in place by the step that averages over all schedules.

    The gradient is the mean over all U units; the second moment takes the expected square of the
    mean of k = `units_per_step` units drawn without replacement (DESIGN section 2):
    E[g^2] = gbar^2 + Var_u(g) / k (U - k) / (U - 1), with Var over the U units.

    Args:
        problem: the units' losses.
        optimizer: the update.
        state: (P,) tensors, changed in place.
        units_per_step: k.
        visit: receives each unit and its gradient (P,) at the state.

    """
    n, k = problem.units, units_per_step
    mean = torch.zeros_like(state.parameters, dtype=torch.float64)
    square = torch.zeros_like(mean)
    for unit in range(n):
        g = gradient(partial(problem.loss, unit=unit), state.parameters)
        visit(unit, g)
        mean += g
        square += g.double() ** 2
    problem.meter.add("gradients", n)
    mean /= n
    variance = (square / n - mean**2).clamp(min=0)
    expected = mean**2 + variance / k * (n - k) / (n - 1)
    dtype = state.parameters.dtype
    optimizer.update(state, mean.to(dtype), expected.to(dtype))


def write_barycentre(
    problem: Problem,
    optimizer: AdamW,
    start: State,
    units_per_step: int,
    spans: Sequence[Span],
    shards: Sequence[Path],
    checkpoints: Checkpoints,
    key: str,
) -> None:
    """Run the barycentre path and write its gradient table on the way, shard by shard.

    The table needs the very gradients that the path is made of. A shard that is already sealed is
    not made again, so a killed run loses at most the shard it was writing.

    Args:
        problem: the units' losses.
        optimizer: the update.
        start: the state before the window.
        units_per_step: k.
        spans: the steps and anchors of each shard.
        shards: the files to write, one for each span.
        checkpoints: keeps the state before every step; read them back to write the path.
        key: the study key that the shards carry.

    Raises:
        UserError: a parameter is not finite.

    """
    checkpoints.save(start)
    for span, shard in zip(spans, shards, strict=True):
        if shard.exists():
            continue
        with creating(shard, key) as file:
            table = create_table(file, span.anchors, problem.units, start.parameters)
            for t in trange(span.steps.start, span.steps.stop, desc=shard.stem, mininterval=2):
                state, _ = checkpoints.load(start.step + t)
                row = np.flatnonzero(span.anchors == t)

                def keep(unit: int, g: Tensor, row: np.ndarray = row, table: Any = table) -> None:
                    if row.size:
                        table[row[0], unit] = g.numpy()

                barycentre_step(problem, optimizer, state, units_per_step, keep)
                if not bool(torch.isfinite(state.parameters).all()):
                    raise UserError(
                        f"barycentre: step {t}: its update left parameters that are not finite; "
                        f"lower optimizer.learning_rate (now {optimizer.config.learning_rate:g})"
                    )
                checkpoints.save(state)

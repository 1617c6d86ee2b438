"""Verify an existing run: training from one checkpoint must arrive at the next one."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from trainorder.errors import UserError
from trainorder.numerics import large_tensors
from trainorder.recording.record.layout import checkpoint
from trainorder.training.optimizer import MOMENTS, State

# The settings to compare with the run if this part of the state differs.
_SETTINGS = {
    "exp_avg": "run.order, corpus.files, model, dropout, "
    "optimizer.gradient_clip, run.loss_scale and optimizer.beta1",
    "exp_avg_sq": "optimizer.beta2",
    "parameters": "optimizer.learning_rate, schedule, horizon, linear_warmup_steps, "
    "final_fraction, decay_steps, weight_decay, no_decay and epsilon",
}
_ALL_SETTINGS = "; ".join(_SETTINGS.values())


class Miss(NamedTuple):
    """How training missed a checkpoint.

    Attributes:
        name: the part of the state, for example `exp_avg`.
        error: its distance to the checkpoint.
        allowed: the largest allowed distance.

    """

    name: str
    error: float
    allowed: float


def missed(trained: State, before: State, after: State, tolerance: float) -> Miss | None:
    """Return how training from one checkpoint missed the next one; None if it arrived.

    Args:
        trained: the state that training from `before` reached.
        before: the state of the checkpoint.
        after: the state of the next checkpoint.
        tolerance: the largest allowed distance to `after`, relative to the distance between the
            checkpoints.

    """
    for name in _SETTINGS:
        start, end, reached = (getattr(state, name) for state in (before, after, trained))
        distance, error = (_distance(vector, end) for vector in (start, reached))
        size = float(large_tensors.squared_norms(end).sqrt())
        rounding = 8 * torch.finfo(end.dtype).eps * size * (after.step - before.step)
        allowed = tolerance * distance + rounding
        if not error <= allowed:
            return Miss(name, error, allowed)
    return None


def check_arrival(
    trained: State, before: State, after: State, folder: str | Path, tolerance: float
) -> None:
    """Check that training from one checkpoint arrived at the next one.

    Args:
        trained: as for `missed`.
        before: as for `missed`.
        after: as for `missed`.
        folder: the run.
        tolerance: as for `missed`.

    Raises:
        UserError: training ended further away; the message names the settings to compare.

    """
    miss = missed(trained, before, after, tolerance)
    if miss is None:
        return
    # After one step, the part that differs tells which settings. After more, all parts differ.
    keys = _SETTINGS[miss.name] if after.step - before.step == 1 else _ALL_SETTINGS
    raise UserError(
        f"{checkpoint(folder, after.step)}: {miss.name}: training from "
        f"checkpoint-{before.step} as configured misses it by {miss.error:.2g}, expected at most "
        f"{miss.allowed:.2g}; compare these settings with the run: {keys}; if the run used lower "
        "precision or another device, raise run.tolerance"
    )


def check_finite(trained: State, folder: str | Path, start: int) -> None:
    """Check that training from the checkpoint at step `start` did not diverge.

    Raises:
        UserError: a number of `trained` is not finite; the message names the settings to compare.

    """
    if not all(large_tensors.all_finite(getattr(trained, name)) for name in MOMENTS):
        raise UserError(
            f"{checkpoint(folder, start)}: training from it as configured diverges at step "
            f"{trained.step}; compare these settings with the run: {_ALL_SETTINGS}; or choose a "
            "window before the run diverged"
        )


def _distance(first: Tensor, second: Tensor) -> float:
    """Return the norm of the difference of two vectors (P,)."""
    blocks = large_tensors.column_blocks(2, len(first))
    norms = [torch.linalg.vector_norm(first[columns] - second[columns]) for columns in blocks]
    return float(torch.stack(norms).norm())

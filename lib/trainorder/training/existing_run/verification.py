"""Verify an existing run: training between two checkpoints must reproduce the second one."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainorder.errors import UserError
from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import gradient
from trainorder.training.existing_run.checkpoint_files import (
    checked_spans,
    checkpoint,
)
from trainorder.training.existing_run.states import RunStates
from trainorder.training.optimizer import AdamW
from trainorder.training.problem import LanguageProblem

# The settings to compare with the run if this part of the state differs.
_SETTINGS = {
    "exp_avg": "run.order, corpus.files, model, dropout, "
    "optimizer.gradient_clip and optimizer.beta1",
    "exp_avg_sq": "optimizer.beta2",
    "parameters": "optimizer.learning_rate, schedule, horizon, linear_warmup_steps, "
    "final_fraction, weight_decay and epsilon",
}


def check_run(
    states: RunStates,
    schedule: np.ndarray,
    problem: LanguageProblem,
    optimizer: AdamW,
    tolerance: float,
) -> None:
    """Check that the configuration describes the run.

    For each pair of checkpoints in `checked_spans`, training from the first one with AdamW and the
    units of the schedule must end at the second one.

    Args:
        states: the states of the run.
        schedule: (T, k) unit numbers of the run's order.
        problem: the model and the tokens.
        optimizer: the configured optimizer.
        tolerance: the largest allowed distance to the second checkpoint, relative to the distance
            between the two checkpoints.

    Raises:
        UserError: training ends further away; the message names the settings to compare.

    """
    for start, end in checked_spans(states.steps, len(schedule)):
        first, past = start - states.first_step, end - states.first_step
        losses = [partial(problem.batch_loss, units=units) for units in schedule[first:past]]
        _check_span(states, first, losses, optimizer, tolerance)


def _check_span(
    states: RunStates,
    first: int,
    losses: Sequence[Callable[[Tensor], Tensor]],
    optimizer: AdamW,
    tolerance: float,
) -> None:
    before, after = states.state(first), states.state(first + len(losses))
    trained = before.clone()
    for loss in losses:
        optimizer.update(trained, gradient(loss, trained.parameters))
    for name, settings in _SETTINGS.items():
        start, end, reached = (getattr(state, name) for state in (before, after, trained))
        distance, error = (_distance(vector, end) for vector in (start, reached))
        size = float(large_tensors.squared_norms(end).sqrt())
        rounding = 8 * torch.finfo(end.dtype).eps * size * len(losses)
        if error <= tolerance * distance + rounding:
            continue
        # After one step, the part that differs tells which settings. After more, all parts differ.
        keys = settings if len(losses) == 1 else "; ".join(_SETTINGS.values())
        allowed = tolerance * distance + rounding
        raise UserError(
            f"{checkpoint(states.folder, after.step)}: {name}: training from "
            f"checkpoint-{before.step} as configured misses it by {error:.2g}, expected at most "
            f"{allowed:.2g}; compare these settings with the run: {keys}; if the run used lower "
            "precision or another device, raise run.tolerance"
        )


def _distance(first: Tensor, second: Tensor) -> float:
    """Return the norm of the difference of two vectors (P,)."""
    blocks = large_tensors.column_blocks(2, len(first))
    norms = [torch.linalg.vector_norm(first[columns] - second[columns]) for columns in blocks]
    return float(torch.stack(norms).norm())

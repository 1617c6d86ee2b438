"""Training from checkpoint to checkpoint, to verify that an existing run fits the configuration."""

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

# Settings that differ from the run if this part of the state does.
_SETTINGS = {
    "exp_avg": "its gradient is another: run.order, corpus.files, model, dropout, "
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
    """Check that the configuration is that of the run: the steps at each end of the window.

    From a checkpoint, AdamW with the gradients of the units that the order names must land at the
    next one. What is checked are `checked_spans` of the run's checkpoints.

    Args:
        states: of the run.
        schedule: (T, k) its order.
        problem: model and tokens.
        optimizer: as it is configured.
        tolerance: how far off it may land, relative to the way between the two checkpoints.

    Raises:
        UserError: it does not land there; the line names what may be wrong.

    """
    for start, end in checked_spans(states.steps, len(schedule)):
        first, past = start - states.first_step, end - states.first_step
        problem.meter.add("gradients", schedule[first:past].size)
        losses = [
            partial(problem.model.loss, tokens=problem.batch(units))
            for units in schedule[first:past]
        ]
        _check_span(states, first, losses, optimizer, tolerance)


def _check_span(
    states: RunStates,
    first: int,
    losses: Sequence[Callable[[Tensor], Tensor]],
    optimizer: AdamW,
    tolerance: float,
) -> None:
    before, after = states.state(first), states.state(first + len(losses))
    found = before.clone()
    for loss in losses:
        optimizer.update(found, gradient(loss, found.parameters))
    for name, suspects in _SETTINGS.items():
        start, end, here = (getattr(state, name) for state in (before, after, found))
        way, off = (_distance(x, end) for x in (start, here))
        size = float(large_tensors.squared_norms(end).sqrt())
        rounding = 8 * torch.finfo(end.dtype).eps * size * len(losses)
        if off <= tolerance * way + rounding:
            continue
        # After one step what differs tells what is wrong; after more, all differs.
        keys = suspects if len(losses) == 1 else "; ".join(_SETTINGS.values())
        raise UserError(
            f"{checkpoint(states.folder, after.step)}: {name}: training from checkpoint-"
            f"{before.step}, as configured, misses it by {off:.2g} on a way of {way:.2g}; compare "
            f"with the run: {keys}; or if it computed otherwise (lower precision, another device), "
            "raise run.tolerance"
        )


def _distance(first: Tensor, second: Tensor) -> float:
    """Return the norm of the difference of two vectors (P,)."""
    blocks = large_tensors.column_blocks(2, len(first))
    norms = [torch.linalg.vector_norm(first[columns] - second[columns]) for columns in blocks]
    return float(torch.stack(norms).norm())

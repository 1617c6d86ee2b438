"""The loss scale: the gradients of an existing run relative to those of the mean loss.

Trainers may divide the loss of a batch by another number than that of its targets. For example, the
Trainer of transformers divides by the number L of labels of a sequence, although its first token is
no target, so that the loss scale is (L - 1) / L.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from torch import Tensor

from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import gradient
from trainorder.training.existing_run.gradient_ratio import Ratio, gradient_ratio
from trainorder.training.existing_run.stored_state import read_checkpoint
from trainorder.training.existing_run.verification import missed
from trainorder.training.optimizer import Optimizer, State
from trainorder.training.problem import LanguageProblem

_ROUNDS = 8  # the loss scale also moves the parameters, and decides what is clipped


def detected_steps(steps: Sequence[int], loss_scale: float | None) -> int:
    """Return how many steps are trained to detect that the loss scale is 1, if none is clipped.

    Args:
        steps: of the checkpoints in the window, ascending.
        loss_scale: the configured loss scale; None if it is to be detected.

    """
    return steps[1] - steps[0] if loss_scale is None and len(steps) > 1 else 0


def detected_loss_scale(
    folder: str | Path,
    steps: Sequence[int],
    schedule: np.ndarray,
    problem: LanguageProblem,
    optimizer: Optimizer,
    tolerance: float,
) -> float:
    """Return the loss scale with which training from one checkpoint arrives at the next one.

    Between two checkpoints, gradients are added to the rest of the earlier average m. The ratio of
    what the run added and what our training adds corrects the loss scale. It is 1 or (L - 1) / L if
    this is within the uncertainty of the ratio. An interval in which all gradients are clipped does
    not show the loss scale, so the next one is tried. The result is 1 if no interval shows another
    one, or if with none training arrives; then `window_states` reports what differs.

    Args:
        folder: the run.
        steps: of its checkpoints in the window, ascending.
        schedule: (T, k) int64 unit numbers of the run's order.
        problem: the model and the tokens, with loss scale 1.
        optimizer: the configured optimizer.
        tolerance: as for `check_arrival`.

    """
    for first, last in pairwise(steps):
        units = schedule[first - steps[0] : last - steps[0]]
        before, after = (read_checkpoint(folder, step, problem.model) for step in (first, last))
        loss_scale, shows = _of_interval(
            before, after, units, problem=problem, optimizer=optimizer, tolerance=tolerance
        )
        if shows:
            return loss_scale
    return 1.0


def _of_interval(
    before: State,
    after: State,
    units: np.ndarray,
    *,
    problem: LanguageProblem,
    optimizer: Optimizer,
    tolerance: float,
) -> tuple[float, bool]:
    """Return the loss scale between two checkpoints, and whether some gradient was not clipped."""
    usual = _usual(problem)
    true, (loss_scale, *guesses) = _added(after, before, optimizer), usual
    for _ in range(_ROUNDS):
        trained = before.clone()
        unclipped, shows = _train(trained, units, problem, optimizer, loss_scale)
        has_arrived = missed(trained, before, after, tolerance) is None
        if has_arrived and not shows:
            return loss_scale, False
        ratio = gradient_ratio(_added(trained, before, optimizer) if shows else unclipped, true)
        if has_arrived and (ratio is None or ratio.is_compatible(1)):
            return loss_scale, True
        loss_scale = guesses.pop() if guesses else _corrected(loss_scale, ratio, usual)
    return 1.0, True


def _usual(problem: LanguageProblem) -> list[float]:
    """Return the loss scales that trainers have: 1, and (L - 1) / L."""
    length = problem.corpus.units.shape[-1]
    return [1.0, (length - 1) / length]


def _corrected(loss_scale: float, ratio: Ratio | None, usual: Sequence[float]) -> float:
    """Return the nearest usual loss scale if it is compatible with the ratio; else the measured."""
    if ratio is None:
        return loss_scale
    measured = loss_scale * ratio.value
    nearest = min(usual, key=lambda value: abs(value - measured))
    return nearest if ratio.is_compatible(nearest / loss_scale) else measured


def _train(
    state: State,
    units: np.ndarray,
    problem: LanguageProblem,
    optimizer: Optimizer,
    loss_scale: float,
) -> tuple[Tensor, bool]:
    """Train `state` in place along `units` (n, k).

    Returns:
        What the gradients before clipping add to m, (P,), and whether any gradient is not clipped.

    """
    added, shows = large_tensors.zeros(len(state.parameters), dtype=state.parameters.dtype), False
    for row in units:
        step = gradient(partial(problem.batch_loss, units=row), state.parameters).mul_(loss_scale)
        shows |= bool(optimizer.clip_scale(large_tensors.squared_norms(step).sqrt()) == 1)
        added.mul_(optimizer.betas[0]).add_(step, alpha=1 - optimizer.betas[0])
        optimizer.update(state, step)
    return added, shows


def _added(after: State, before: State, optimizer: Optimizer) -> Tensor:
    """Return what the steps from `before` to `after` added to m, (P,)."""
    kept = optimizer.betas[0] ** (after.step - before.step)
    return large_tensors.copy(after.exp_avg).sub_(before.exp_avg, alpha=kept)

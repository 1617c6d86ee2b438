"""The constant factor between the gradients of an existing run and those of the mean loss.

Trainers may divide the loss of a batch by another number than that of its targets. For example, the
Trainer of transformers divides by the number L of labels of a sequence, although its first token is
no target, so that the factor is (L - 1) / L.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from torch import Tensor

from trainorder.errors import UserError
from trainorder.numerics import large_tensors
from trainorder.numerics.derivatives import gradient
from trainorder.training.existing_run.stored_state import read_checkpoint
from trainorder.training.existing_run.verification import check_arrival, check_finite
from trainorder.training.optimizer import Optimizer, State
from trainorder.training.problem import LanguageProblem

_ROUNDS = 8  # the factor also moves the parameters between checkpoints, and decides what is clipped
_SAME = 1e-4  # relative difference up to which factors count as equal


def detected_steps(steps: Sequence[int], loss_scale: float | None) -> int:
    """Return how many steps are trained to detect that the factor is 1, if none is clipped.

    Args:
        steps: of the checkpoints in the window, ascending.
        loss_scale: the configured factor; None if it is to be detected.

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
    """Return the factor with which training from one checkpoint arrives at the next one.

    Between two checkpoints, gradients are added to the rest of the earlier average m. If our
    training adds `found` and the run added `true`, the factor is <found, true> / |found|^2. An
    interval in which all gradients are clipped does not show the factor, so the next one is tried.
    The result is 1 if no interval shows another factor, or if no factor makes training arrive; then
    `window_states` reports what differs.

    Args:
        folder: the run.
        steps: of its checkpoints in the window, ascending.
        schedule: (T, k) int64 unit numbers of the run's order.
        problem: the model and the tokens, with factor 1.
        optimizer: the configured optimizer.
        tolerance: as for `check_arrival`.

    """
    for first, last in pairwise(steps):
        units = schedule[first - steps[0] : last - steps[0]]
        before, after = (read_checkpoint(folder, step, problem.model) for step in (first, last))
        scale, shows = _of_interval(before, after, units, problem, optimizer, (folder, tolerance))
        if shows:
            return scale
    return 1.0


def _of_interval(
    before: State,
    after: State,
    units: np.ndarray,
    problem: LanguageProblem,
    optimizer: Optimizer,
    check: tuple[str | Path, float],
) -> tuple[float, bool]:
    """Return the factor between two checkpoints, and whether some gradient was not clipped."""
    folder, tolerance = check
    usual = _usual(problem)
    scale, *guesses = usual
    for _ in range(_ROUNDS):
        trained = before.clone()
        added, shows = _train(trained, units, problem, optimizer, scale)
        try:
            check_finite(trained, folder, before.step)
            check_arrival(trained, before, after, folder, tolerance)
            return scale, shows
        except UserError:
            found = _added(trained, before, optimizer) if shows else added
            corrected = scale * _ratio(found, _added(after, before, optimizer))
            scale = guesses.pop() if guesses else _rounded(corrected, usual)
    return 1.0, True


def _train(
    state: State, units: np.ndarray, problem: LanguageProblem, optimizer: Optimizer, scale: float
) -> tuple[Tensor, bool]:
    """Train `state` in place along `units` (n, k).

    Returns:
        What the gradients before clipping add to m, (P,), and whether any gradient is not clipped.

    """
    added, shows = large_tensors.zeros(len(state.parameters), dtype=state.parameters.dtype), False
    for row in units:
        step = gradient(partial(problem.batch_loss, units=row), state.parameters).mul_(scale)
        shows |= bool(optimizer.clip_scale(large_tensors.squared_norms(step).sqrt()) == 1)
        added.mul_(optimizer.betas[0]).add_(step, alpha=1 - optimizer.betas[0])
        optimizer.update(state, step)
    return added, shows


def _added(after: State, before: State, optimizer: Optimizer) -> Tensor:
    """Return what the steps from `before` to `after` added to m, (P,)."""
    kept = optimizer.betas[0] ** (after.step - before.step)
    return large_tensors.copy(after.exp_avg).sub_(before.exp_avg, alpha=kept)


def _ratio(found: Tensor, true: Tensor) -> float:
    """Return <found, true> / |found|^2."""
    along = float(large_tensors.inner_products(found[None], true[None]))
    factor = along / float(large_tensors.squared_norms(found))
    return factor if factor > 0 else 1.0  # also for a number that is not finite


def _usual(problem: LanguageProblem) -> list[float]:
    """Return the factors that trainers have: 1, and (L - 1) / L."""
    length = problem.corpus.units.shape[-1]
    return [1.0, (length - 1) / length]


def _rounded(scale: float, usual: Sequence[float]) -> float:
    """Return the usual factor that `scale` equals up to `_SAME`, if there is one; else `scale`."""
    for exact in usual:
        if abs(scale / exact - 1) < _SAME:
            return exact
    return scale

"""The states of an existing run along the window: stored in a checkpoint, or trained again.

Training continues from each checkpoint to the next, where it must arrive at the run's own state.
"""

from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import trange

from trainorder.numerics.derivatives import gradient
from trainorder.training.existing_run.checkpoint_files import retrained_spans, window_spans
from trainorder.training.existing_run.stored_state import read_checkpoint
from trainorder.training.existing_run.verification import check_arrival, check_finite
from trainorder.training.optimizer import Optimizer, State
from trainorder.training.problem import LanguageProblem


def window_states(
    folder: str | Path,
    steps: Sequence[int],
    schedule: np.ndarray,
    problem: LanguageProblem,
    optimizer: Optimizer,
    tolerance: float,
) -> Generator[State, None, None]:
    """Yield the states before steps 0 .. T - 1 of the window, and that at its end.

    At a checkpoint the state is the run's, to the bit. Between checkpoints, and after the last one,
    it comes from training from the checkpoint before. Use a state before you take the next one,
    because training changes its tensors (P,) in place.

    Args:
        folder: the run.
        steps: of its checkpoints in the window, ascending; the first is at the window's start.
        schedule: (T, k) int64 unit numbers of the run's order.
        problem: the model and the tokens.
        optimizer: the configured optimizer.
        tolerance: the largest allowed distance to a checkpoint, relative to its distance from the
            checkpoint before.

    Raises:
        UserError: a checkpoint does not fit the model, or training from it does not arrive at the
            next one; the message names the settings to compare.

    """
    end = steps[0] + len(schedule)
    retrained = retrained_spans(steps, end)
    state = read_checkpoint(folder, steps[0], problem.model)
    yield state
    for first, last in window_spans(steps, end):
        if (first, last) in retrained:
            for step in trange(first, last, desc=f"checkpoint-{first}", mininterval=2):
                loss = partial(problem.batch_loss, units=schedule[step - steps[0]])
                optimizer.update(state, gradient(loss, state.parameters))
                check_finite(state, folder, first)
                if step + 1 not in steps:
                    yield state
        if last in steps:
            stored = read_checkpoint(folder, last, problem.model)
            if (first, last) in retrained:
                check_arrival(
                    state,
                    before=read_checkpoint(folder, first, problem.model),
                    after=stored,
                    folder=folder,
                    tolerance=tolerance,
                )
            state = stored
            yield state


def verification(steps: Sequence[int], end: int) -> dict[str, list[list[int]]]:
    """Return how the states of each part of the window follow the run.

    Args:
        steps: of the run's checkpoints in the window, as for `window_states`.
        end: the step of the run at which the window ends.

    Returns:
        Three lists of intervals [first, end] of steps of the window, counted from 0; an interval
        does not include the step `end`. `verified`: trained again from a checkpoint, with arrival
        at the next one. `stored`: all states are checkpoints, and nothing was trained again.
        `unverified`: trained again after the last checkpoint.

    """
    retrained = retrained_spans(steps, end)
    intervals: dict[str, list[list[int]]] = {"verified": [], "stored": [], "unverified": []}
    for first, last in window_spans(steps, end):
        kind = "verified" if (first, last) in retrained else "stored"
        if last not in steps:
            kind = "unverified"
        intervals[kind].append([first - steps[0], last - steps[0]])
    return intervals

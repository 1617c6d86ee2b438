"""The files of an existing run and the checkpoints of the window.

A run is a folder that contains folders `checkpoint-<step>`, as the Trainer of transformers names
them. `<step>` is the number of updates so far. Each contains the parameters and the moments of
AdamW as safetensors.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from trainorder.config.sections import EstimatorConfig, WindowConfig
from trainorder.errors import UserError

PARAMETERS_FILE, MOMENTS_FILE = "model.safetensors", "optimizer.safetensors"
_PICKLED = {PARAMETERS_FILE: "pytorch_model.bin", MOMENTS_FILE: "optimizer.pt"}


def checkpoint(folder: str | Path, step: int) -> Path:
    """Return the folder of one checkpoint."""
    return Path(folder) / f"checkpoint-{step}"


def checkpoint_files(folder: str | Path, steps: Sequence[int]) -> list[str]:
    """Return the files of the checkpoints at `steps`, ordered by step."""
    return [str(checkpoint(folder, step) / name) for step in steps for name in _PICKLED]


def window_checkpoints(folder: str | Path, window: WindowConfig) -> list[int]:
    """Return the steps of the checkpoints in the window in ascending order.

    The first is at the start of the window and the last at its end. All intervals have the same
    number of steps. Only the last one may be shorter, because trainers also store their last state.

    Args:
        folder: the run, a folder of checkpoints.
        window: the section `window`.

    Raises:
        UserError: a checkpoint is missing at the start, at the end or in between, one does not
            match the interval, a file is missing, or a folder cannot be read.

    """
    with _reading(Path(folder)):
        steps = _window_steps(folder, window)
    every = steps[1] - steps[0]
    for before, after in pairwise(steps):
        if after - before > every:
            raise UserError(
                f"{checkpoint(folder, before + every)}: missing: the first checkpoints are {every} "
                f"steps apart, but the next one is checkpoint-{after}; store it, or move other "
                "checkpoints away so that all intervals are equal"
            )
        if after - before < every and after != steps[-1]:
            raise UserError(
                f"{checkpoint(folder, after)}: irregular: the first checkpoints are {every} steps "
                f"apart, but this one is {after - before} after checkpoint-{before}; move it away"
            )
    for step in steps:
        for name, pickled in _PICKLED.items():
            with _reading(checkpoint(folder, step)):
                _check_file(checkpoint(folder, step), name, pickled)
    return steps


def checked_spans(steps: Sequence[int], window: int) -> list[tuple[int, int]]:
    """Return the pairs of neighbouring checkpoints between which a run is verified.

    They are the first and the last pair in the window of `window` steps. If one pair spans the
    whole window there are none, because verification would train all of the run again.
    """
    inside = [span for span in pairwise(steps) if span[1] - steps[0] <= window]
    spans = [inside[i] for i in sorted({0, len(inside) - 1})] if inside else []
    return [span for span in spans if span[1] - span[0] < window]


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Raise a `UserError` for a folder that cannot be read."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {error.strerror}; make it readable") from None


def _window_steps(folder: str | Path, window: WindowConfig) -> list[int]:
    names = [re.fullmatch(r"checkpoint-(\d+)", path.name) for path in Path(folder).iterdir()]
    steps = sorted({int(name[1]) for name in names if name})
    first, end = window.warmup_steps, window.horizon
    if not steps:
        raise UserError(
            f"{folder}: contains no folder checkpoint-<step>; set run.checkpoints to the folder of "
            "the checkpoints"
        )
    if first not in steps:
        raise UserError(
            f"{checkpoint(folder, first)}: missing, but the window starts there "
            f"(window.warmup_steps); {_neighbours(steps, first)}"
        )
    if end not in steps:
        raise UserError(
            f"{checkpoint(folder, end)}: missing, but the window ends there (window.warmup_steps "
            f"plus {window.steps} steps) and the losses of the reference order are read from it; "
            f"{_neighbours(steps, end)}; store this checkpoint, or let the window end at another"
        )
    return [step for step in steps if first <= step <= end]


def _neighbours(steps: Sequence[int], missing: int) -> str:
    """Return the nearest checkpoints before and after a missing one as text."""
    before = [step for step in steps if step < missing][-1:]
    after = [step for step in steps if step > missing][:1]
    names = " and ".join(f"checkpoint-{step}" for step in (*before, *after))
    return f"the nearest is {names}" if len(before + after) == 1 else f"the nearest are {names}"


def _check_file(folder: Path, name: str, pickled: str) -> None:
    if (folder / name).is_file():
        return
    if (folder / pickled).is_file():
        raise UserError(
            f"{folder / pickled}: pickles are not read; write {name} as docs/run.md shows"
        )
    raise UserError(f"{folder / name}: missing; write it as docs/run.md shows")


def check_readouts(
    folder: str | Path, steps: Sequence[int], window: WindowConfig, readouts: int
) -> None:
    """Check that the run has a checkpoint at every readout of the window.

    Held-out losses of the reference order are part of the truth, so they are not evaluated at
    interpolated parameters.

    Args:
        folder: the run.
        steps: the steps of its checkpoints.
        window: the section `window`.
        readouts: the number of readouts, `curriculum.readouts`.

    Raises:
        UserError: a checkpoint is missing.

    """
    needed = [window.warmup_steps + t for t in window.readouts(readouts)]
    if missing := [step for step in needed if step not in steps]:
        names = ", ".join(f"checkpoint-{step}" for step in missing)
        raise UserError(
            f"config: curriculum.readouts: {readouts}: the losses of the reference order are read "
            f"at steps {', '.join(map(str, needed))}, but {folder} has no {names}; store them, or "
            "set curriculum.readouts to 1"
        )


def check_path_is_exact(
    folder: str | Path, steps: Sequence[int], estimators: Sequence[EstimatorConfig]
) -> None:
    """Check that no estimator needs states of the reference path that the run has not stored.

    The reduced model computes the updates along its path from the moments, and residuals are
    gradients at the run's parameters. Both are only interpolated between checkpoints.

    Args:
        folder: the run.
        steps: the steps of its checkpoints.
        estimators: the estimators of the study.

    Raises:
        UserError: an estimator that needs all states, but no checkpoint at every step.

    """
    if steps[1] - steps[0] > 1:
        for estimator in estimators:
            method = estimator.descriptor
            needs_states = method.needs_run or "reduced" in method.reads
            if needs_states and estimator.path == "reference":
                remedy = "remove it" if method.needs_run else "use path: barycentre"
                raise UserError(
                    f"config: estimators: {estimator.name}: needs a checkpoint at every step, but "
                    f"those of {folder} are {steps[1] - steps[0]} apart; {remedy}"
                )

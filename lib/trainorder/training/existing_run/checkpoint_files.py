"""The files of an existing run: which of its checkpoints the window's path is read from.

A run is a folder of folders `checkpoint-<step>`, named after the updates made so far, as the
Trainer of transformers names them. Each holds the parameters and AdamW's moments as safetensors.
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
    """Return the files of some checkpoints."""
    return [str(checkpoint(folder, step) / name) for step in steps for name in _PICKLED]


def window_checkpoints(folder: str | Path, window: WindowConfig) -> list[int]:
    """Return the steps of the checkpoints that a window's path needs, ascending.

    The first is the window's start, the last is its end or the next one behind it. They are as many
    steps apart each time; before the last it may be fewer, for trainers also keep their end.

    Raises:
        UserError: the window does not lie between two checkpoints, one is missing or out of step,
            or lacks a file that is read; or a folder cannot be read.

    """
    with _reading(Path(folder)):
        steps = _between(folder, window)
    every = steps[1] - steps[0]
    for before, after in pairwise(steps):
        if after - before > every:
            raise UserError(
                f"{checkpoint(folder, before + every)}: missing: the run's checkpoints are {every} "
                f"steps apart, and the next is checkpoint-{after}"
            )
        if after - before < every and after != steps[-1]:
            raise UserError(
                f"{checkpoint(folder, after)}: irregular: the run's checkpoints are {every} steps "
                f"apart, and this is {after - before} behind checkpoint-{before}; move it away"
            )
    for step in steps:
        for name, pickled in _PICKLED.items():
            with _reading(checkpoint(folder, step)):
                _check_file(checkpoint(folder, step), name, pickled)
    return steps


def checked_spans(steps: Sequence[int], window: int) -> list[tuple[int, int]]:
    """Return the neighbouring checkpoints between which a run is checked: first and last in it.

    Where the window of `window` steps is one such span, nothing is: the run is not trained again.
    """
    inside = [span for span in pairwise(steps) if span[1] - steps[0] <= window]
    spans = [inside[i] for i in sorted({0, len(inside) - 1})] if inside else []
    return [span for span in spans if span[1] - span[0] < window]


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Turn a folder that the system does not let be read into a `UserError`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {error.strerror}; make it readable") from None


def _between(folder: str | Path, window: WindowConfig) -> list[int]:
    names = [re.fullmatch(r"checkpoint-(\d+)", path.name) for path in Path(folder).iterdir()]
    there = sorted({int(name[1]) for name in names if name})
    first, end = window.warmup_steps, window.horizon
    if not there:
        raise UserError(f"{folder}: holds no folder checkpoint-<step>")
    if first not in there:
        raise UserError(
            f"{checkpoint(folder, first)}: missing, and the window starts there "
            f"(window.warmup_steps); the run's first is checkpoint-{there[0]}"
        )
    if there[-1] < end:
        raise UserError(
            f"{checkpoint(folder, end)}: missing, and the window ends there (window.warmup_steps "
            f"and its {window.steps} steps); the run's last is checkpoint-{there[-1]}"
        )
    last = next(step for step in there if step >= end)
    return [step for step in there if first <= step <= last]


def _check_file(folder: Path, name: str, pickled: str) -> None:
    if (folder / name).is_file():
        return
    if (folder / pickled).is_file():
        raise UserError(
            f"{folder / pickled}: a pickle, which is not read; write {name} beside it as "
            "docs/run.md says"
        )
    raise UserError(f"{folder / name}: missing")


def check_path_is_exact(
    folder: str | Path, steps: Sequence[int], estimators: Sequence[EstimatorConfig]
) -> None:
    """Check that no estimator needs states of the reference that the run has not kept.

    The reduced model takes the path's own updates from its moments, which between checkpoints are
    only interpolated.

    Raises:
        UserError: one does.

    """
    if steps[1] - steps[0] > 1:
        for estimator in estimators:
            if "reduced" in estimator.descriptor.reads and estimator.path == "reference":
                raise UserError(
                    f"config: estimators: {estimator.name}: needs a checkpoint at every step, and "
                    f"those of {folder} are {steps[1] - steps[0]} apart; use path: barycentre"
                )

"""The files of an existing run and the checkpoints of the window.

A run is a folder that contains folders `checkpoint-<step>`, as the Trainer of transformers names
them. `<step>` is the number of updates so far. Each contains the parameters and the moments of
AdamW as safetensors.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from trainorder.config.sections.window import WindowConfig
from trainorder.errors import UserError
from trainorder.recording.record.layout import (
    MOMENTS_FILE,
    PARAMETERS_FILE,
    checkpoint,
    checkpoint_steps,
)

_PICKLED = {PARAMETERS_FILE: "pytorch_model.bin", MOMENTS_FILE: "optimizer.pt"}


def checkpoint_files(folder: str | Path, steps: Sequence[int]) -> list[str]:
    """Return the files of the checkpoints at `steps`, ordered by step."""
    return [str(checkpoint(folder, step) / name) for step in steps for name in _PICKLED]


def is_of_trainer(folder: str | Path, step: int) -> bool:
    """Return whether the Trainer of transformers wrote a checkpoint: it stores its own state."""
    return (checkpoint(folder, step) / "trainer_state.json").is_file()


def window_checkpoints(folder: str | Path, window: WindowConfig) -> list[int]:
    """Return the steps of the checkpoints in the window in ascending order.

    The first is at the start of the window; the others may be anywhere in it.

    Args:
        folder: the run, a folder of checkpoints.
        window: the section `window`.

    Raises:
        UserError: there is no checkpoint at the start, a file is missing, or a folder cannot be
            read.

    """
    with _reading(Path(folder)):
        steps = _window_steps(folder, window)
    for step in steps:
        for name, pickled in _PICKLED.items():
            with _reading(checkpoint(folder, step)):
                _check_file(checkpoint(folder, step), name, pickled)
    return steps


def retrained_spans(steps: Sequence[int], end: int) -> list[tuple[int, int]]:
    """Return the spans (first step, step after the last) of the window that are trained again.

    They are all spans with states that the run has not stored: between checkpoints more than one
    step apart, and from the last checkpoint to the `end` of the window. Of the checkpoints one step
    apart, only the first and the last pair are trained again, for verification.

    Args:
        steps: of the checkpoints, from `window_checkpoints`.
        end: the step at which the window ends.

    """
    single = [span for span in pairwise(steps) if span[1] - span[0] == 1]
    only_read = set(single[1:-1])
    return [span for span in window_spans(steps, end) if span not in only_read]


def window_spans(steps: Sequence[int], end: int) -> list[tuple[int, int]]:
    """Return the spans between checkpoints, and that from the last one to the `end`, if any."""
    return list(pairwise(steps if steps[-1] == end else [*steps, end]))


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Raise a `UserError` for a folder that cannot be read."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{folder}: cannot be read: {error.strerror}; make it readable") from None


def _window_steps(folder: str | Path, window: WindowConfig) -> list[int]:
    steps = checkpoint_steps(Path(folder).iterdir())
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
    for other, problem in (
        (pickled, "pickles are not read"),
        (f"{name}.index.json", "parameters in several files are not read"),
    ):
        if (folder / other).is_file():
            raise UserError(
                f"{folder / other}: {problem}; convert the run with python -m "
                f"trainorder.recording import, or write {name} as docs/run.md shows"
            )
    if (folder / "adapter_config.json").is_file():
        raise UserError(
            f"{folder / name}: missing, the checkpoint has adapters alone; record such a run, as "
            "docs/run.md shows"
        )
    raise UserError(f"{folder / name}: missing; write it as docs/run.md shows")

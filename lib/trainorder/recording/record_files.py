"""The files of a record, and which steps of the run it has.

    record.json                    the settings of the run, see `settings_file`
    heldout.safetensors            the sequences that orders are judged by, see `heldout_file`
    steps/<step>.safetensors       what one update consumed and used, see `step_file`
    checkpoint-<step>/             a state of the run, see `state_files`

`<step>` is the number of updates before it. A record has all steps from its first to its last one.
Each file is complete or absent, and a step is written before the states that follow it.
"""

import re
from pathlib import Path

from trainorder.errors import UserError
from trainorder.recording.state_names import checkpoint
from trainorder.storage.atomic import remove_folder

_DIGITS = 8  # names sort as numbers do


def step_path(folder: str | Path, step: int) -> Path:
    """Return the file of the update after `step` updates."""
    return Path(folder) / "steps" / f"{step:0{_DIGITS}}.safetensors"


def recorded_steps(folder: str | Path) -> range:
    """Return the steps of a record.

    Raises:
        UserError: a step between the first and the last one is missing.

    """
    files = Path(folder, "steps").glob("*.safetensors")
    steps = sorted(int(file.stem) for file in files if file.stem.isdigit())
    if not steps:
        return range(0)
    expected = range(steps[0], steps[-1] + 1)
    if missing := sorted(set(expected) - set(steps)):
        raise UserError(
            f"{step_path(folder, missing[0])}: missing, but the record has later steps; record the "
            "run again"
        )
    return expected


def recorded_states(folder: str | Path) -> list[int]:
    """Return the steps of the checkpoints of a record in ascending order."""
    names = [
        re.fullmatch(r"checkpoint-(\d+)", path.name) for path in Path(folder).glob("checkpoint-*")
    ]
    return sorted(int(name[1]) for name in names if name)


def remove_steps(folder: str | Path) -> None:
    """Remove all steps, the last ones first."""
    for recorded in reversed(recorded_steps(folder)):
        step_path(folder, recorded).unlink()


def remove_after(folder: str | Path, step: int) -> None:
    """Remove the steps from `step` on and the states after it, which a resumed run replaces.

    If no step before `step` is recorded, the state at `step` is removed, too: a new record starts
    there. The last ones are removed first, so that a kill leaves a consistent record.

    Raises:
        UserError: a file cannot be removed.

    """
    steps = recorded_steps(folder)
    last_kept = step if steps and steps.start < step else -1
    for state in reversed(recorded_states(folder)):
        if state > last_kept:
            remove_folder(checkpoint(folder, state))
    for recorded in reversed(steps):
        if recorded >= step:
            step_path(folder, recorded).unlink()

"""Remove steps and states of a record."""

from pathlib import Path

from trainorder.recording.record.layout import (
    checkpoint,
    recorded_states,
    recorded_steps,
    step_path,
)
from trainorder.storage.atomic import remove_folder


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

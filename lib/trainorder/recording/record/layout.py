"""The places of steps and states in a record, and which of them it has."""

import re
from collections.abc import Iterable
from pathlib import Path

from trainorder.errors import UserError

PARAMETERS_FILE, MOMENTS_FILE = "model.safetensors", "optimizer.safetensors"  # of a state
MOMENTS = ("exp_avg", "exp_avg_sq")  # of a parameter, as torch's AdamW names them
_DIGITS = 8  # names of steps sort as numbers do
_TRAINER_FILES = ("optimizer.pt", "trainer_state.json")  # which no state of a record has


def checkpoint(folder: str | Path, step: int) -> Path:
    """Return the folder of the state of the run `folder` after `step` updates."""
    return Path(folder) / f"checkpoint-{step}"


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
    """Return the steps of the states of a record in ascending order."""
    return checkpoint_steps(path for path in checkpoints(folder) if is_recorded_state(path))


def checkpoints(folder: str | Path) -> list[Path]:
    """Return the folders `checkpoint-<step>` in a folder, also those of a `Trainer`."""
    return sorted(Path(folder).glob("checkpoint-*"))


def is_recorded_state(path: Path) -> bool:
    """Return whether the folder of a checkpoint is a state of a record, and not of a `Trainer`."""
    of_trainer = any((path / name).exists() for name in _TRAINER_FILES)
    return (path / MOMENTS_FILE).is_file() and not of_trainer


def checkpoint_steps(paths: Iterable[Path]) -> list[int]:
    """Return the steps of the checkpoints among some paths in ascending order."""
    names = [re.fullmatch(r"checkpoint-(\d+)", path.name) for path in paths]
    return sorted(int(name[1]) for name in names if name)

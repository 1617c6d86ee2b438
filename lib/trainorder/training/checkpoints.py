"""Training checkpoints, from which an interrupted job resumes. They are no workflow outputs."""

import glob
import shutil
from itertools import count, takewhile
from pathlib import Path

import h5py
import numpy as np

from trainorder.errors import UserError
from trainorder.numerics import large_tensors
from trainorder.storage.sealed_hdf5 import creating, opened
from trainorder.training.optimizer import MOMENTS, State


class Checkpoints:
    """The training states of one job in the folder `<folder>/<key>`, one file for each step.

    `key` is a hash of everything that determines the states. An unreadable state counts as absent,
    so a damaged file costs time but never changes a result.
    """

    def __init__(self, folder: str | Path, key: str, every: int, keep_all: bool = False) -> None:
        """Describe the folder; nothing is read or written.

        Args:
            folder: the folder of all checkpoints.
            key: the hash that names the subfolder.
            every: number of optimizer steps between two states.
            keep_all: whether all states are kept; otherwise only the last one is.

        """
        self.folder, self.key = Path(folder) / key, key
        self.every, self.keep_all = every, keep_all

    def save(self, state: State, **records: np.ndarray) -> None:
        """Write a state and arrays that belong to it, such as the losses up to its step."""
        with creating(self._path(state.step), self.key) as file:
            _write(file, state)
            for name, array in records.items():
                file.create_dataset(name, data=array)
        if not self.keep_all:
            for step in self._steps():
                if step < state.step:
                    self._path(step).unlink(missing_ok=True)

    def latest(self, start: int) -> tuple[State, dict[str, np.ndarray]] | None:
        """Return the state to resume from and its records; None if there is none.

        This is the last readable state. With `keep_all` it is the last one before the first state
        after step `start` that is missing or damaged: resuming there writes that state again.
        """
        if self.keep_all:  # another process with the same key may have removed some states
            steps = list(takewhile(self._whole, count(start + self.every, self.every)))
        else:
            steps = sorted(self._steps())
        for step in reversed(steps):
            try:
                return self.load(step)
            except UserError:
                self._path(step).unlink(missing_ok=True)
        return None

    def load(self, step: int) -> tuple[State, dict[str, np.ndarray]]:
        """Return the state after `step` updates and its records.

        Raises:
            UserError: the file is missing or damaged.

        """
        try:
            with opened(self._path(step), self.key, "") as file:
                state = _state(file, step)
                records = {name: np.asarray(file[name]) for name in file if name not in MOMENTS}
        except UserError:
            raise UserError(
                f"{self._path(step)}: training checkpoint missing or damaged; run the job again"
            ) from None
        return state, records

    def clear(self) -> None:
        """Remove the folder; call this after the outputs of the job are published."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:08d}.h5"

    def _whole(self, step: int) -> bool:
        try:
            with opened(self._path(step), self.key, ""):
                return True
        except UserError:
            return False

    def _steps(self) -> list[int]:
        # `glob` returns an empty list if another process removes the folder at the same time.
        names = glob.glob("[0-9]*.h5", root_dir=self.folder)
        return [int(Path(name).stem) for name in names]


_LOSS_SCALE = "loss_scale"  # an attribute of the start of an existing run, if it is not 1


def write_state(path: str | Path, key: str, state: State, loss_scale: float = 1.0) -> None:
    """Publish a state, such as the warm checkpoint, as a sealed file of the study `key`.

    Args:
        path: the file.
        key: the study key.
        state: the state.
        loss_scale: that of an existing run from there on, see `training.existing_run.loss_scale`.

    """
    attributes = {} if loss_scale == 1 else {_LOSS_SCALE: loss_scale}
    with creating(path, key, step=state.step, **attributes) as file:
        _write(file, state)


def read_state(path: str | Path, key: str, rule: str) -> State:
    """Return the state that `write_state` published.

    Args:
        path: the file.
        key: the study key that the file must have.
        rule: the workflow rule that writes the file. Error messages name it.

    Raises:
        UserError: the file is missing, damaged or belongs to another study.

    """
    with opened(path, key, rule) as file:
        return _state(file, int(file.attribute("step")))


def read_loss_scale(path: str | Path, key: str | None) -> float:
    """Return the loss scale that `write_state` stored; 1 if there is none.

    Raises:
        UserError: the file is missing, damaged or belongs to another study.

    """
    with opened(path, key, "warm") as file:
        return float(file.attrs.get(_LOSS_SCALE, 1.0))


def _write(file: h5py.File, state: State) -> None:
    for name in MOMENTS:
        large_tensors.write(file, name, getattr(state, name))


def _state(file: h5py.File, step: int) -> State:
    theta, m, v = (large_tensors.read(file[name]) for name in MOMENTS)
    return State(theta, m, v, step)

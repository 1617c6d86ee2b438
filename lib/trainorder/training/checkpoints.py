"""Resumable states of a trainer, outside the outputs that a workflow declares."""

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
    """States by step in a folder named after a hash of all that determines them.

    A state that cannot be read counts as absent, so a damaged one costs time and never correctness.
    """

    def __init__(self, folder: str | Path, key: str, every: int, keep_all: bool = False) -> None:
        """Keep states every `every` steps; only the last one unless `keep_all`."""
        self.folder, self.key = Path(folder) / key, key
        self.every, self.keep_all = every, keep_all

    def save(self, state: State, **records: np.ndarray) -> None:
        """Write one state, and the records that go with it."""
        with creating(self._path(state.step), self.key) as file:
            _write(file, state)
            for name, array in records.items():
                file.create_dataset(name, data=array)
        if not self.keep_all:
            for step in self._steps():
                if step < state.step:
                    self._path(step).unlink(missing_ok=True)

    def latest(self, start: int) -> tuple[State, dict[str, np.ndarray]] | None:
        """Return the last readable state and its records, if there is one.

        Where all states are kept, those that follow step `start` are read up to the first that is
        missing or damaged, since whoever resumes makes what comes later alone.
        """
        if self.keep_all:  # another process that ran this may have removed some of them
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
        """Return the state of one step and its records.

        Raises:
            UserError: missing or damaged.

        """
        try:
            with opened(self._path(step), self.key, "") as file:
                state = _state(file, step)
                records = {name: np.asarray(file[name]) for name in file if name not in MOMENTS}
        except UserError:
            raise UserError(
                f"{self._path(step)}: this state of a trainer is missing or damaged; "
                "run the same step again"
            ) from None
        return state, records

    def clear(self) -> None:
        """Remove the folder, once the outputs made from it are published."""
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
        found = glob.glob("[0-9]*.h5", root_dir=self.folder)  # none, of a folder that is removed
        return [int(Path(name).stem) for name in found]


def write_state(path: str | Path, key: str, state: State) -> None:
    """Publish one state (the warm checkpoint) as a sealed file of study `key`."""
    with creating(path, key, step=state.step) as file:
        _write(file, state)


def read_state(path: str | Path, key: str, rule: str) -> State:
    """Return the state that `write_state` published.

    Raises:
        UserError: missing, damaged, or of another study.

    """
    with opened(path, key, rule) as file:
        return _state(file, int(file.attribute("step")))


def _write(file: h5py.File, state: State) -> None:
    for name in MOMENTS:
        large_tensors.write(file, name, getattr(state, name))


def _state(file: h5py.File, step: int) -> State:
    theta, m, v = (large_tensors.read(file[name]) for name in MOMENTS)
    return State(theta, m, v, step)

"""The expansion path: the parameters and moments about which gradients are expanded.

A path also names its anchors: the steps at which there is a gradient table.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
from torch import Tensor

from trainorder.errors import UserError
from trainorder.numerics import large_tensors
from trainorder.storage.manifest import RULES
from trainorder.storage.sealed_hdf5 import create_rows, creating, opened
from trainorder.training.optimizer import ALL, MOMENTS, State

_HELD_NUMBERS = 2**20  # largest state for which the last few states are cached in memory


class ExpansionPath(Protocol):
    """A path that gradients are expanded around: a `StoredPath` or a `LowRankExpansion`."""

    @property
    def steps(self) -> int:
        """T, the steps of the window."""
        ...

    @property
    def first_step(self) -> int:
        """Updates made before the window."""
        ...

    @property
    def anchors(self) -> np.ndarray:
        """The steps (K,) at which there is a gradient table."""
        ...

    def state(self, t: int, columns: slice = ALL) -> State:
        """Return the state before step `t`, or a block of it; `t` = T is the end."""
        ...

    def parameters(self, t: int, columns: slice = ALL) -> Tensor:
        """Return theta_t (P,), or a block of it."""
        ...


class StoredPath:
    """States theta_0 .. theta_T with their moments, read from an open file one at a time.

    States of a large model are not cached, so reading a block takes only the memory of the block.
    """

    def __init__(self, file: h5py.File) -> None:
        """Read from an opened `path.h5`."""
        self._file = file
        self.first_step = int(file.attribute("first_step"))
        self.steps = len(file["parameters"]) - 1
        self.size = file["parameters"].shape[1]
        self.anchors = np.asarray(file["anchor"])
        self._held: dict[int, State] = {}  # the last few: neighbouring steps share them

    def state(self, t: int, columns: slice = ALL) -> State:
        """Return the state before step `t` of the window; `t` = T is the end.

        Tensors are (P,), or a block of `columns`. Calls share them, so do not change them in place.
        """
        if self.size > _HELD_NUMBERS:
            return self._read(t, columns)
        if t not in self._held:
            while len(self._held) > 2:
                self._held.pop(next(iter(self._held)))
            self._held[t] = self._read(t, ALL)
        return self._held[t].columns(columns)

    def parameters(self, t: int, columns: slice = ALL) -> Tensor:
        """Return theta_t (P,), or a block of it."""
        if self.size > _HELD_NUMBERS:
            return large_tensors.read_columns(self._file["parameters"], t, columns)
        return self.state(t, columns).parameters

    def _read(self, t: int, columns: slice) -> State:
        theta, m, v = (large_tensors.read_columns(self._file[name], t, columns) for name in MOMENTS)
        return State(theta, m, v, self.first_step + t)


@contextmanager
def opened_path(file: str | Path, key: str) -> Iterator[StoredPath]:
    """Open the expansion path of a `path.h5`.

    Args:
        file: `<store>/reference/path.h5` or `<store>/barycentre/path.h5`.
        key: the study key that the file must carry.

    Raises:
        UserError: the file is missing, damaged or belongs to another study, or its folder has
            another name.

    """
    folder = Path(file).parent.name
    if (folder, "path") not in RULES:
        raise UserError(
            f"{file}: its folder names no expansion path; expected <store>/reference/path.h5 or "
            "<store>/barycentre/path.h5"
        )
    with opened(file, key, RULES[folder, "path"]) as content:
        yield StoredPath(content)


def write_path(
    path: str | Path,
    key: str,
    states: Callable[[int], State],
    steps: int,
    anchors: np.ndarray,
) -> None:
    """Publish a path and the `anchors` of its table.

    `states(t)` is called once for each t = 0 .. `steps` in this order. It may return the same
    tensors, changed.
    """
    state = states(0)
    with creating(path, key, first_step=state.step) as file:
        file.create_dataset("anchor", data=anchors)
        shape = (steps + 1, state.parameters.numel())
        dtype = state.parameters.numpy().dtype.str
        rows = {name: create_rows(file, name, shape, dtype) for name in MOMENTS}
        for t in range(steps + 1):
            if t:
                state = states(t)
            for name in MOMENTS:
                rows[name][t] = getattr(state, name).numpy()

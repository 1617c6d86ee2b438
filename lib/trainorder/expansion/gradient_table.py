"""The gradient table G[t, u]: the gradient of every unit's loss along an expansion path."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from trainorder.expansion.path import ExpansionPath
from trainorder.numerics.interpolation import interpolated
from trainorder.storage.manifest import RULES
from trainorder.storage.sealed_hdf5 import create_rows, creating, opened
from trainorder.training.optimizer import ALL
from trainorder.training.problem import Problem, each_gradient

HELD_NUMBERS = 2**23  # largest anchor for which the last few anchors are cached in memory


def create_table(file: h5py.File, anchors: np.ndarray, units: int, like: Tensor) -> h5py.Dataset:
    """Add the datasets of a shard to `file` and return the gradients (anchors, U, P) to fill."""
    file.create_dataset("step", data=anchors)
    shape = (len(anchors), units, like.numel())
    return create_rows(file, "gradient", shape, like.numpy().dtype.str)


def write_rows(
    shard: Path,
    key: str,
    anchors: np.ndarray,
    units: int,
    like: Tensor,
    rows: Iterable[Iterable[Tensor]],
) -> None:
    """Publish a shard of computed gradients, U of (P,) for each anchor."""
    with creating(shard, key) as file:
        table = create_table(file, anchors, units, like)
        for row, gradients in enumerate(rows):
            for unit, g in enumerate(gradients):
                table[row, unit] = g.numpy()


def write_table(
    shard: Path, key: str, problem: Problem, path: ExpansionPath, anchors: np.ndarray
) -> None:
    """Publish the shard of the given anchors: the gradient of each unit at each of them."""
    with creating(shard, key) as file:
        table = create_table(file, anchors, problem.units, path.parameters(0))
        for row, t in enumerate(tqdm(anchors.tolist(), desc=shard.stem, mininterval=2)):
            theta = path.parameters(t)
            for unit, g in enumerate(each_gradient(problem, theta)):
                table[row, unit] = g.numpy()
                del g  # not held while the next one is computed


class GradientTable(Protocol):
    """A source of gradients that is read one step at a time."""

    def at(self, t: int) -> Tensor:
        """Return the gradients (U, P) at step `t`."""
        ...

    def rows(self, t: int, units: Tensor, columns: slice = ALL) -> Tensor:
        """Return a copy of the gradients of `units` (n,): (n, P), or a block of its columns."""
        return self.at(t)[units, columns]


class Table(GradientTable):
    """The gradient table read from opened shards, interpolated linearly between anchors.

    Rows are read when they are requested. Large tables are not cached in memory.
    """

    def __init__(self, files: Sequence[h5py.File]) -> None:
        """Index the anchors of all shards."""
        self._row = {
            int(t): (file["gradient"], row) for file in files for row, t in enumerate(file["step"])
        }
        self.anchors = np.array(sorted(self._row))
        self._held: dict[int, Tensor] = {}

    def at(self, t: int) -> Tensor:
        """Return the gradients (U, P) at step `t`; beyond the last anchor, the last one's."""
        return interpolated(self.anchors, t, lambda place: self._anchor(int(self.anchors[place])))

    def rows(self, t: int, units: Tensor, columns: slice = ALL) -> Tensor:
        """Return a copy of the gradients of `units` (n,): (n, P), or a block of its columns."""
        return interpolated(
            self.anchors, t, lambda place: self._rows(int(self.anchors[place]), units, columns)
        )

    def _rows(self, t: int, units: Tensor, columns: slice) -> Tensor:
        dataset, row = self._row[t]
        if not _is_large(dataset):
            return self._anchor(t)[units, columns]
        read = [torch.from_numpy(dataset[row, unit, columns]) for unit in units.tolist()]
        return torch.stack(read)

    def _anchor(self, t: int) -> Tensor:
        """Read one anchor; the last few stay in memory, since neighbouring steps share them."""
        dataset, row = self._row[t]
        if _is_large(dataset):
            return torch.from_numpy(dataset[row])
        if t not in self._held:
            while len(self._held) > 2:
                self._held.pop(next(iter(self._held)))
            self._held[t] = torch.from_numpy(dataset[row])
        return self._held[t]


@contextmanager
def opened_table(files: Sequence[str | Path], key: str) -> Iterator[Table]:
    """Open the gradient table of one expansion path from all its `table-N.h5`.

    Raises:
        UserError: a file is missing, damaged or belongs to another study.

    """
    with ExitStack() as stack:
        yield Table(
            [
                stack.enter_context(opened(file, key, RULES[Path(file).parent.name, "table"]))
                for file in files
            ]
        )


def _is_large(dataset: h5py.Dataset) -> bool:
    _, units, size = dataset.shape
    return int(units * size) > HELD_NUMBERS

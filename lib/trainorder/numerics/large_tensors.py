"""Storage of many parameter vectors: in memory up to a budget, in temporary files beyond it.

`empty` and `zeros` return an ordinary tensor (..., P). If the memory budget of the process
(`numerics.memory_budget`) is used up, the numbers are in an unnamed file in the folder for
temporary files, which is mapped into memory. `column_blocks` gives the pages of all mapped files
back after every block of columns. So a computation over blocks needs little memory, and gives the
same result wherever the numbers are stored.
"""

import mmap
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import h5py
import numpy as np
import torch
from torch import Tensor

from trainorder.errors import UserError
from trainorder.numerics import memory_budget
from trainorder.storage.disk_space import reserve_space
from trainorder.storage.sealed_hdf5 import create_rows

_BLOCK_NUMBERS = 2**22  # of a matrix in a block: small beside what else a job takes
_LEAST_COLUMNS = 2**12

_files: "weakref.WeakSet[mmap.mmap]" = weakref.WeakSet()  # that are mapped


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a tensor of `shape` (..., P) of zeros, for vectors of parameters.

    Raises:
        UserError: it is too large to be held, and there is no room for it on the disk.

    """
    return _allocate(np.zeros, shape, dtype)


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a tensor of `shape` (..., P), not filled, as `zeros` does."""
    return _allocate(np.empty, shape, dtype)


def _allocate(make: Callable[..., np.ndarray], shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    kind = torch.empty(0, dtype=dtype).numpy().dtype
    size = int(np.prod(shape)) * kind.itemsize
    if memory_budget.take(size):
        array = make(shape, kind)
        weakref.finalize(array, memory_budget.give_back, size)  # a tensor keeps its array
    else:
        array = np.frombuffer(_mapped(size), kind).reshape(shape)
    return torch.from_numpy(array)


def read_columns(dataset: h5py.Dataset, place: int, columns: slice) -> Tensor:
    """Return a vector (P,) of a dataset, or a block of it."""
    if columns == slice(None):
        return read(dataset, place)
    return torch.from_numpy(dataset[place, columns])


def copy(vectors: Tensor) -> Tensor:
    """Return a copy of `vectors` (..., P)."""
    result = empty(*vectors.shape, dtype=vectors.dtype)
    for columns in column_blocks(vectors.shape[:-1].numel(), vectors.shape[-1]):
        result[..., columns] = vectors[..., columns]
    return result


def stack(rows: Iterable[Tensor], shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return `rows` of (P,), taken one at a time, as a matrix of `shape` (n, P)."""
    result = empty(*shape, dtype=dtype)
    for row, given in zip(result, rows, strict=True):
        row.copy_(given)
        release_pages()
    return result


def join(parts: Sequence[Tensor]) -> Tensor:
    """Return the vectors of all `parts`, (n, P) each."""
    result = empty(sum(map(len, parts)), parts[0].shape[1], dtype=parts[-1].dtype)
    ends = np.cumsum([0, *map(len, parts)]).tolist()
    for columns in column_blocks(*result.shape):
        for (first, last), part in zip(pairwise(ends), parts, strict=True):
            result[first:last, columns] = part[:, columns]
    return result


def write(file: h5py.File, name: str, vectors: Tensor) -> None:
    """Add `vectors` (..., P) to a file as dataset `name`, one at a time."""
    rows = vectors.reshape(-1, vectors.shape[-1])
    target = create_rows(file, name, tuple(vectors.shape), rows.numpy().dtype.str)
    for place, row in zip(np.ndindex(vectors.shape[:-1]), rows, strict=True):
        target[place] = row.numpy()
        release_pages()


def read(dataset: h5py.Dataset, *place: int) -> Tensor:
    """Return the vectors (..., P) of a dataset, or those at a `place`, read one at a time."""
    shape = dataset.shape[len(place) :]
    result = empty(*shape, dtype=torch.from_numpy(np.empty(0, dataset.dtype)).dtype)
    for within in np.ndindex(shape[:-1]):
        dataset.read_direct(result.numpy(), (*place, *within), within)
        release_pages()
    return result


def column_blocks(count: int, size: int) -> Iterator[slice]:
    """Divide the `size` columns of `count` rows that are worked on at once.

    A block depends on these numbers alone, so that sums over blocks do.
    """
    width = max(_LEAST_COLUMNS, _BLOCK_NUMBERS // max(1, count))
    for start in range(0, size, width):
        yield slice(start, min(start + width, size))
        release_pages()


def release_pages() -> None:
    """Give the pages of mapped matrices back; the file keeps what is in them."""
    for pages in _files:
        pages.madvise(mmap.MADV_DONTNEED)


def inner_products(first: Tensor, second: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return `first` diag(`weight`) `second`' (n, m) of (n, P), (P,) and (m, P)."""
    result = first.new_zeros(len(first), len(second))
    for columns in column_blocks(len(first) + len(second), first.shape[1]):
        rows = first[:, columns]
        result += (rows if weight is None else rows * weight[columns]) @ second[:, columns].T
    return result


def combine(weights: Tensor, vectors: Tensor) -> Tensor:
    """Return `weights` (m, n) times `vectors` (n, P), (m, P)."""
    result = empty(len(weights), vectors.shape[1], dtype=vectors.dtype)
    for columns in column_blocks(sum(weights.shape), vectors.shape[1]):
        result[:, columns] = weights @ vectors[:, columns]
    return result


def scale_rows(vectors: Tensor, by: Tensor) -> Tensor:
    """Multiply each of `vectors` (n, P) in place by its own of `by` (n,), and return them."""
    for columns in column_blocks(*vectors.shape):
        vectors[:, columns] *= by[:, None]
    return vectors


def squared_norms(vectors: Tensor, weight: Tensor | None = None) -> Tensor:
    """Return the squared norms (...) of `vectors` (..., P), with a `weight` (P,) of the squares."""
    total = vectors.new_zeros(vectors.shape[:-1])
    for columns in column_blocks(total.numel(), vectors.shape[-1]):
        part = vectors[..., columns].square()
        total += (part if weight is None else part * weight[columns]).sum(-1)
    return total


def all_finite(vector: Tensor) -> bool:
    """Return whether every number of a vector (P,) is finite."""
    size = len(vector)
    return all(bool(torch.isfinite(vector[columns]).all()) for columns in column_blocks(1, size))


def _mapped(size: int) -> mmap.mmap:
    """Return `size` bytes of a new file; its room on the disk is taken at once."""
    try:
        with tempfile.TemporaryFile(prefix="trainorder-") as file:
            reserve_space(file.fileno(), size)  # else a full disk would be a bus error later
            file.truncate(size)
            pages = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise UserError(
            f"{tempfile.gettempdir()}: no room for {size / 1e9:.1f} GB of vectors "
            f"({error.strerror}); set TMPDIR to a larger disk, or raise memory_gb"
        ) from error
    _files.add(pages)
    return pages

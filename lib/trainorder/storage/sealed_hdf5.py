"""HDF5 files that verify themselves.

Each file carries the key of the study it belongs to. Its first 512 bytes, which HDF5 leaves to the
application, are a seal: the schema version and the SHA-256 of all bytes that follow. Opening checks
the seal before HDF5 reads anything, so a truncated file, a flipped byte or a file of another study
is an error that names the file and the rule to rerun, and never silent fill values.
"""

import hashlib
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trainorder.errors import UserError
from trainorder.storage.atomic import publish
from trainorder.storage.disk_space import reserve_space

SCHEMA_VERSION = 1
_SEAL_BYTES = 512  # the smallest user block of HDF5
_MAGIC = b"trainorder-store "
CHUNK_NUMBERS = 2**18  # in a chunk at most, so that a part of a long vector is read by itself
_RECORDS_BYTES = 2**16  # more than HDF5's own records of a file and its attributes take


def _seal(path: Path) -> bytes:
    """Return the seal that belongs to the bytes behind it."""
    with open(path, "rb") as handle:
        handle.seek(_SEAL_BYTES)
        content = hashlib.file_digest(handle, "sha256").hexdigest()
    return b"%s%d\nsha256 %s\n" % (_MAGIC, SCHEMA_VERSION, content.encode())


def sealed_hash(path: str | Path) -> str:
    """Return the SHA-256 of the content as the seal states it, without a check; empty if none."""
    with open(path, "rb") as handle:
        words = handle.read(_SEAL_BYTES).rstrip(b"\0").split()
    return words[-1].decode("ascii", "replace") if words else ""


def stated_key(path: str | Path) -> str | None:
    """Return the key of the study that a whole file says it belongs to; None of any other."""
    try:
        with opened(path, None, "") as file:
            return str(file.attribute("key"))
    except UserError:  # the step that reads the file says what is wrong with it
        return None


def create_rows(file: h5py.File, name: str, shape: tuple[int, ...], dtype: str) -> h5py.Dataset:
    """Add a dataset to be filled row by row: one chunk a vector, checksummed (fletcher32).

    `shape` is `(..., n)`; a chunk holds the last axis, or an even part of it.
    """
    if 0 in shape:
        return file.create_dataset(name, shape, dtype)
    parts = -(-shape[-1] // CHUNK_NUMBERS)
    chunks = (1,) * (len(shape) - 1) + (-(-shape[-1] // parts),)
    return file.create_dataset(name, shape, dtype, chunks=chunks, fletcher32=True)


@contextmanager
def creating(path: str | Path, key: str, **attributes: Any) -> Iterator[h5py.File]:
    """Yield a new HDF5 file to fill; seal it, read it back and publish it atomically."""
    with publish(path) as private:
        file = _NewFile(private, "w", userblock_size=_SEAL_BYTES)
        try:
            file.reserve(_RECORDS_BYTES)
            file.attrs["key"] = key
            for name, value in attributes.items():
                file.attrs[name] = value
            yield file
        except BaseException:
            file.abandon()
            raise
        file.close()
        with h5py.File(private, "r+"):  # an unreadable file is never published; cuts off what was
            pass  # reserved and not needed
        with open(private, "r+b") as handle:
            handle.write(_seal(private))


class _NewFile(h5py.File):  # type: ignore[misc]
    """A file that takes its room on the disk before HDF5 writes.

    HDF5 crashes the process where a write fails late, as on a disk that is full at `close`.
    """

    def create_dataset(
        self, name: str, shape: Any = None, dtype: Any = None, data: Any = None, **how: Any
    ) -> h5py.Dataset:
        """Add a dataset, as h5py does.

        Raises:
            OSError: the disk has no room for it.

        """
        if data is None:
            size = math.prod(shape) * np.dtype(dtype).itemsize
        elif isinstance(data, list):
            size = sum(len(str(text).encode()) + 64 for text in data)
        else:
            size = np.asarray(data).nbytes
        chunks = how.get("chunks")
        pieces = math.prod(map(math.ceil, np.divide(shape, chunks))) if chunks else 0
        self.reserve(size + size // 64 + 128 * pieces + 4096)  # with the index of its chunks
        return super().create_dataset(name, shape, dtype, data, **how)

    def reserve(self, size: int) -> None:
        """Take `size` bytes more; OSError if the disk, a quota or a limit forbids it."""
        reserve_space(self.id.get_vfd_handle(), size)

    def abandon(self) -> None:
        """Close without a write to the disk, where there may be no room for it."""
        if sys.platform == "linux":
            memory = os.memfd_create("abandoned")
            os.dup2(memory, self.id.get_vfd_handle())
            os.close(memory)
        self.close()


def write_arrays(path: str | Path, key: str, arrays: Mapping[str, Any], **attributes: Any) -> None:
    """Publish a file with one dataset for each of `arrays` (numpy arrays, or lists of strings)."""
    with creating(path, key, **attributes) as file:
        for name, array in arrays.items():
            if isinstance(array, list):
                file.create_dataset(name, data=array, dtype=h5py.string_dtype())
            else:
                file.create_dataset(name, data=array)


class _SealedFile(h5py.File):  # type: ignore[misc]
    """A file that is read; what it should hold and does not is the user's to make again."""

    def __init__(self, path: Path, remedy: str) -> None:
        super().__init__(path, "r")
        self._lacks = f"{path}: has no `{{}}`, so another version made it; {remedy}"

    def __getitem__(self, name: str) -> Any:
        """Return a dataset.

        Raises:
            UserError: there is none of this name.

        """
        if name not in self:
            raise UserError(self._lacks.format(name))
        return super().__getitem__(name)

    def attribute(self, name: str) -> Any:
        """Return an attribute of the file.

        Raises:
            UserError: there is none of this name.

        """
        if name not in self.attrs:
            raise UserError(self._lacks.format(name))
        return self.attrs[name]


@contextmanager
def opened(path: str | Path, key: str | None, rule: str) -> Iterator[h5py.File]:
    """Open a sealed file for reading after checking it whole.

    Args:
        path: the file.
        key: the study key it must carry; None takes any.
        rule: the Snakemake rule that makes the file, named in errors.

    Raises:
        UserError: missing, truncated, altered, or of another study; and where a dataset, or by
            `attribute` an attribute, is asked for that it has not.

    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: missing; rerun rule `{rule}`")
    remedy = f"delete it and rerun rule `{rule}`"
    try:
        _check_seal(path, remedy)
        file = _SealedFile(path, remedy)
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror or error}); {remedy}") from error
    with file:
        found = file.attrs.get("key")
        if not isinstance(found, str):
            raise UserError(f"{path}: does not say which study it belongs to; {remedy}")
        if key is not None and found != key:
            raise UserError(f"{path}: belongs to another study ({found}, not {key}); {remedy}")
        yield file


def _check_seal(path: Path, remedy: str) -> None:
    with open(path, "rb") as handle:
        block = handle.read(_SEAL_BYTES)
    if len(block) < _SEAL_BYTES or not block.startswith(_MAGIC):
        raise UserError(f"{path}: truncated, altered or not a file of a study; {remedy}")
    if block != _seal(path).ljust(_SEAL_BYTES, b"\0"):
        raise UserError(f"{path}: altered, truncated or not of schema {SCHEMA_VERSION}; {remedy}")


def read_arrays(
    path: str | Path, key: str | None, rule: str, names: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """Return the datasets `names` of a sealed file, or all; strings come back as `str` objects.

    Raises:
        UserError: missing, truncated, altered, of another study, or without one of `names`.

    """
    with opened(path, key, rule) as file:
        return {name: _read(file[name]) for name in (file if names is None else names)}


def _read(dataset: h5py.Dataset) -> np.ndarray:
    text = h5py.check_string_dtype(dataset.dtype) is not None
    return np.asarray((dataset.asstr() if text else dataset)[()])

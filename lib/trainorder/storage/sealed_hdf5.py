"""HDF5 files that verify themselves.

Each file has the key of its study as an attribute. Its first 512 bytes, the user block of HDF5, are
a seal: the schema version and the SHA-256 of all following bytes. `opened` checks the seal before
HDF5 reads anything. A truncated file, a flipped byte or a file of another study therefore raises an
error that names the file and the rule to rerun. HDF5 alone might return fill values instead.
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
_SEAL_BYTES = 512  # the smallest user block that HDF5 allows
_MAGIC = b"trainorder-store "
CHUNK_NUMBERS = 2**18  # the largest chunk; part of a long vector can be read alone
_RECORDS_BYTES = 2**16  # upper bound for the metadata of HDF5 and the attributes


def _seal(path: Path) -> bytes:
    """Return the seal for the content of a file, that is for all bytes after the seal."""
    with open(path, "rb") as handle:
        handle.seek(_SEAL_BYTES)
        content = hashlib.file_digest(handle, "sha256").hexdigest()
    return b"%s%d\nsha256 %s\n" % (_MAGIC, SCHEMA_VERSION, content.encode())


def sealed_hash(path: str | Path) -> str:
    """Return the SHA-256 in the seal of a file without verifying it; empty without a seal."""
    with open(path, "rb") as handle:
        words = handle.read(_SEAL_BYTES).rstrip(b"\0").split()
    return words[-1].decode("ascii", "replace") if words else ""


def stated_key(path: str | Path) -> str | None:
    """Return the study key of a sealed file; None if the file is missing, damaged or not sealed."""
    try:
        with opened(path, None, "") as file:
            return str(file.attribute("key"))
    except UserError:  # the job that reads the file reports what is wrong
        return None


def create_rows(file: h5py.File, name: str, shape: tuple[int, ...], dtype: str) -> h5py.Dataset:
    """Return a new empty dataset that is filled row by row.

    Each vector is one chunk with a checksum (fletcher32). Vectors of more than `CHUNK_NUMBERS`
    numbers are divided into equal chunks.

    Args:
        file: the file to add the dataset to.
        name: the name of the dataset.
        shape: `(..., n)`, for vectors of n numbers.
        dtype: as in numpy, such as `f4`.

    """
    if 0 in shape:
        return file.create_dataset(name, shape, dtype)
    parts = -(-shape[-1] // CHUNK_NUMBERS)
    chunks = (1,) * (len(shape) - 1) + (-(-shape[-1] // parts),)
    return file.create_dataset(name, shape, dtype, chunks=chunks, fletcher32=True)


@contextmanager
def creating(path: str | Path, key: str, **attributes: Any) -> Iterator[h5py.File]:
    """Yield a new HDF5 file to fill; on exit reopen it, seal it and publish it atomically.

    Args:
        path: the file to publish.
        key: the study key.
        attributes: attributes of the file.

    Raises:
        UserError: the file cannot be written, for example because the disk is full.

    """
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
        # Opening fails if the file is unreadable, and truncates the reserved space that is unused.
        with h5py.File(private, "r+"):
            pass
        with open(private, "r+b") as handle:
            handle.write(_seal(private))


class _NewFile(h5py.File):  # type: ignore[misc]
    """A file that reserves disk space before HDF5 writes.

    HDF5 crashes the process if a late write fails, for example if the disk is full at `close`.
    """

    def create_dataset(
        self, name: str, shape: Any = None, dtype: Any = None, data: Any = None, **how: Any
    ) -> h5py.Dataset:
        """Reserve disk space for a dataset, then create it like h5py.

        Raises:
            OSError: there is not enough disk space.

        """
        if data is None:
            size = math.prod(shape) * np.dtype(dtype).itemsize
        elif isinstance(data, list):
            size = sum(len(str(text).encode()) + 64 for text in data)
        else:
            size = np.asarray(data).nbytes
        chunks = how.get("chunks")
        pieces = math.prod(map(math.ceil, np.divide(shape, chunks))) if chunks else 0
        self.reserve(size + size // 64 + 128 * pieces + 4096)  # with the chunk index
        return super().create_dataset(name, shape, dtype, data, **how)

    def reserve(self, size: int) -> None:
        """Reserve `size` more bytes on the disk.

        Raises:
            OSError: the disk is full, or a quota or the file size limit is reached.

        """
        reserve_space(self.id.get_vfd_handle(), size)

    def abandon(self) -> None:
        """Close without writing to the disk, which may be full: redirect writes to memory."""
        if sys.platform == "linux":
            memory = os.memfd_create("abandoned")
            os.dup2(memory, self.id.get_vfd_handle())
            os.close(memory)
        self.close()


def write_arrays(path: str | Path, key: str, arrays: Mapping[str, Any], **attributes: Any) -> None:
    """Publish a sealed file with one dataset for each entry of `arrays`.

    Args:
        path: the file.
        key: the study key.
        arrays: numpy arrays or lists of strings by name.
        attributes: attributes of the file.

    Raises:
        UserError: the file cannot be written.

    """
    with creating(path, key, **attributes) as file:
        for name, array in arrays.items():
            if isinstance(array, list):
                file.create_dataset(name, data=array, dtype=h5py.string_dtype())
            else:
                file.create_dataset(name, data=array)


class _SealedFile(h5py.File):  # type: ignore[misc]
    """A file opened for reading. A missing dataset or attribute raises a `UserError`."""

    def __init__(self, path: Path, remedy: str) -> None:
        super().__init__(path, "r")
        self._missing = f"{path}: has no `{{}}`, so another version wrote it; {remedy}"

    def __getitem__(self, name: str) -> Any:
        """Return the dataset `name`.

        Raises:
            UserError: the file has no such dataset.

        """
        if name not in self:
            raise UserError(self._missing.format(name))
        return super().__getitem__(name)

    def attribute(self, name: str) -> Any:
        """Return the attribute `name` of the file.

        Raises:
            UserError: the file has no such attribute.

        """
        if name not in self.attrs:
            raise UserError(self._missing.format(name))
        return self.attrs[name]


@contextmanager
def opened(path: str | Path, key: str | None, rule: str) -> Iterator[h5py.File]:
    """Verify a sealed file and open it for reading.

    Args:
        path: the file.
        key: the study key that the file must have; None accepts any key.
        rule: the workflow rule that writes the file. Error messages name it.

    Raises:
        UserError: the file is missing, truncated, altered or belongs to another study. Reading a
            dataset, or an attribute with `attribute`, raises it if the file has none of this name.

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
        stored_key = file.attrs.get("key")
        if not isinstance(stored_key, str):
            raise UserError(f"{path}: has no study key; {remedy}")
        if key is not None and stored_key != key:
            raise UserError(
                f"{path}: belongs to another study (key {stored_key}, expected {key}); {remedy}"
            )
        yield file


def _check_seal(path: Path, remedy: str) -> None:
    with open(path, "rb") as handle:
        block = handle.read(_SEAL_BYTES)
    if len(block) < _SEAL_BYTES or not block.startswith(_MAGIC):
        raise UserError(f"{path}: truncated, altered or not written by trainorder; {remedy}")
    if block != _seal(path).ljust(_SEAL_BYTES, b"\0"):
        raise UserError(
            f"{path}: altered, truncated or not of schema version {SCHEMA_VERSION}; {remedy}"
        )


def read_arrays(
    path: str | Path, key: str | None, rule: str, names: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """Return datasets of a sealed file as numpy arrays. Strings become `str` objects.

    Args:
        path: the file.
        key: the study key that the file must have; None accepts any key.
        rule: the workflow rule that writes the file. Error messages name it.
        names: the datasets to read; None reads all.

    Raises:
        UserError: the file is missing, truncated, altered, belongs to another study, or lacks one
            of `names`.

    """
    with opened(path, key, rule) as file:
        return {name: _read(file[name]) for name in (file if names is None else names)}


def _read(dataset: h5py.Dataset) -> np.ndarray:
    text = h5py.check_string_dtype(dataset.dtype) is not None
    return np.asarray((dataset.asstr() if text else dataset)[()])

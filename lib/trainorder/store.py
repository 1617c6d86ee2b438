"""HDF5 files that verify themselves.

Each file carries the key of the study it belongs to and a SHA-256 over its names, types, shapes
and bytes. Opening checks all of it, so a truncated file, a flipped byte or a file of another study
is an error that names the file and the rule to rerun, and never silent fill values.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trainorder.errors import UserError
from trainorder.files import publish

SCHEMA_VERSION = 1
_ROWS_IN_MEMORY = 64 * 2**20  # bytes of a dataset that are hashed or copied at a time


def _blocks(dataset: h5py.Dataset) -> Iterator[np.ndarray]:
    if dataset.ndim == 0 or dataset.size == 0:
        yield dataset[()]
        return
    row_bytes = max(1, dataset.dtype.itemsize * dataset.size // dataset.shape[0])
    step = max(1, _ROWS_IN_MEMORY // row_bytes)
    for start in range(0, dataset.shape[0], step):
        yield dataset[start : start + step]


def _content_hash(file: h5py.File) -> str:
    digest = hashlib.sha256()
    for name in sorted(file.attrs):
        if name != "content_sha256":
            digest.update(f"{name}={file.attrs[name]!s};".encode())
    for name in sorted(file):
        dataset = file[name]
        digest.update(f"{name}:{dataset.dtype.str}:{dataset.shape};".encode())
        for block in _blocks(dataset):
            data = np.ascontiguousarray(block)
            digest.update(repr(data.tolist()).encode() if data.dtype == object else data.data)
    return digest.hexdigest()


def create_rows(file: h5py.File, name: str, shape: tuple[int, ...], dtype: str) -> h5py.Dataset:
    """Add a dataset to be filled row by row: one chunk a vector, checksummed (fletcher32).

    `shape` is `(..., n)`; a chunk holds the last axis.
    """
    chunks = (1,) * (len(shape) - 1) + (max(1, shape[-1]),)
    return file.create_dataset(name, shape, dtype, chunks=chunks, fletcher32=True)


@contextmanager
def creating(path: str | Path, key: str, **attributes: Any) -> Iterator[h5py.File]:
    """Yield a new HDF5 file to fill; seal it with its content hash and publish it atomically."""
    with publish(path) as private:
        with h5py.File(private, "w") as file:
            file.attrs["schema_version"] = SCHEMA_VERSION
            file.attrs["key"] = key
            for name, value in attributes.items():
                file.attrs[name] = value
            yield file
            file.attrs["content_sha256"] = _content_hash(file)
        _reopen(private)


def _reopen(path: Path) -> None:
    """Reopen a file that was just written, so that an unreadable one is never published."""
    with h5py.File(path, "r"):
        pass


def write_arrays(path: str | Path, key: str, arrays: Mapping[str, Any], **attributes: Any) -> None:
    """Publish a file with one dataset for each of `arrays` (numpy arrays, or lists of strings)."""
    with creating(path, key, **attributes) as file:
        for name, array in arrays.items():
            if isinstance(array, list):
                file.create_dataset(name, data=array, dtype=h5py.string_dtype())
            else:
                file.create_dataset(name, data=array)


@contextmanager
def opened(path: str | Path, key: str | None, rule: str) -> Iterator[h5py.File]:
    """Open a sealed file for reading after checking it whole.

    Args:
        path: the file.
        key: the study key it must carry; None takes any.
        rule: the Snakemake rule that makes the file, named in errors.

    Raises:
        UserError: missing, truncated, altered, or of another study.

    """
    path = Path(path)
    remedy = f"delete it and rerun rule `{rule}`"
    if not path.exists():
        raise UserError(f"{path}: missing; rerun rule `{rule}`")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path}: truncated or not HDF5; {remedy}") from error
    with file:
        _attempt(path, remedy, lambda: _check(file, path, key, remedy))
        yield file


def _attempt(path: Path, remedy: str, action: Callable[[], None]) -> None:
    try:
        action()
    except UserError:
        raise
    except Exception as error:  # h5py raises OSError, KeyError, RuntimeError on corrupted metadata
        raise UserError(f"{path}: damaged ({type(error).__name__}); {remedy}") from error


def _check(file: h5py.File, path: Path, key: str | None, remedy: str) -> None:
    version = file.attrs.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UserError(f"{path}: schema version {version}, not {SCHEMA_VERSION}; {remedy}")
    if _content_hash(file) != file.attrs.get("content_sha256"):
        raise UserError(f"{path}: content does not match its checksum; {remedy}")
    if key is not None and file.attrs["key"] != key:
        raise UserError(f"{path}: belongs to another study ({file.attrs['key']}, not {key}); {remedy}")


def read_arrays(path: str | Path, key: str | None, rule: str) -> dict[str, np.ndarray]:
    """Return every dataset of a sealed file; strings come back as `str` objects."""
    with opened(path, key, rule) as file:
        return {name: _read(file[name]) for name in file}


def _read(dataset: h5py.Dataset) -> np.ndarray:
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return dataset.asstr()[()]
    return dataset[()]

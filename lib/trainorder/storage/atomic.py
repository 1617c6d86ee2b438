"""Atomic writes: a reader sees the old file or the complete new file, never a part."""

import errno
import glob
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from trainorder.errors import UserError
from trainorder.storage.disk_space import FULL_DISK

_WRITE_ERRORS = (
    *FULL_DISK,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
)


@contextmanager
def publish(path: str | Path) -> Iterator[Path]:
    """Yield the name of a private file in the folder of `path`; rename it to `path` on success.

    A reader sees the old file or the complete new file, never a part. The private file is flushed
    to disk before it is renamed. An exception removes the private file and does not change `path`.
    Private files that killed processes of this machine left for `path` are removed first.

    Raises:
        UserError: the file cannot be written. Errors about other files pass through unchanged.

    """
    path = Path(path)
    private = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.partial")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
    try:
        try:
            yield private
        except OSError as error:
            if _concerns_another_file(error, path, private):
                raise
            raise _not_written(path, error) from error
        with _writing(path):
            with open(private, "rb") as handle:
                os.fsync(handle.fileno())
            os.replace(private, path)
    finally:
        with _writing(path):
            private.unlink(missing_ok=True)


@contextmanager
def publish_folder(path: str | Path) -> Iterator[Path]:
    """Yield a private, empty folder beside `path`; rename it to `path` on success.

    A reader sees the old folder, the complete new folder, or none; never a part. Files are flushed
    to disk before the folder is renamed. An exception removes the private folder and does not
    change `path`. Only one process may write to `path`: folders that killed writers left are
    removed first.

    Raises:
        UserError: the folder cannot be written.

    """
    path = Path(path)
    private = path.with_name(f".{path.name}.partial")
    with _writing(path):
        shutil.rmtree(private, ignore_errors=True)
        private.mkdir(parents=True)
    try:
        try:
            yield private
        except OSError as error:
            raise _not_written(path, error) from error
        with _writing(path):
            for file in private.iterdir():
                with open(file, "rb") as handle:
                    os.fsync(handle.fileno())
            remove_folder(path)
            os.replace(private, path)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def remove_folder(path: str | Path) -> None:
    """Remove a folder, if it exists; a reader sees all of it or nothing.

    Raises:
        UserError: the folder cannot be removed.

    """
    path = Path(path)
    removed = path.with_name(f".{path.name}.removed")
    with _writing(path):
        if removed.exists():
            shutil.rmtree(removed)
        if path.exists():
            os.replace(path, removed)
            shutil.rmtree(removed)


def _concerns_another_file(error: OSError, *own: Path) -> bool:
    """Return whether an error has another cause than writing one of the files `own`.

    Errors of failed writes and of HDF5 have no file name as a field. HDF5 has it in the text. Where
    it is not there either, the error number tells whether it was a write or a read.
    """
    names = [name for name in (error.filename, error.filename2) if isinstance(name, str | Path)]
    if names:
        return not any(Path(name) in own for name in names)
    return error.errno not in _WRITE_ERRORS and not any(each.name in str(error) for each in own)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raise a `UserError` about `path` instead of any operating system error."""
    try:
        yield
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: str | Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written: {reason(error)}")


def _remove_abandoned(path: Path) -> None:
    """Remove private files of `path` whose writing process on this machine has ended."""
    prefix = glob.escape(f".{path.name}.{socket.gethostname()}.")
    for private in path.parent.glob(f"{prefix}*.partial"):
        writer = private.name.split(".")[-2]
        if writer.isdigit() and not psutil.pid_exists(int(writer)):
            private.unlink(missing_ok=True)


def reason(error: OSError) -> str:
    """Return the operating system's text for an error, without the details that HDF5 adds."""
    return os.strerror(error.errno) if error.errno else str(error)


def move(source: str | Path, target: str | Path) -> None:
    """Rename a complete file to its published name on the same file system.

    Raises:
        UserError: `target` cannot be written.

    """
    with _writing(Path(target)):
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)

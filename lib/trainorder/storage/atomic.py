"""Publishing files atomically: a reader sees the old file or the whole new one."""

import glob
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainorder.errors import UserError


@contextmanager
def publish(path: str | Path) -> Iterator[Path]:
    """Yield a private name beside `path`; on success flush it to disk and rename it to `path`.

    A reader sees the old file or the whole new one, never a part. On an exception the private
    file is removed and `path` stays as it was. What killed writers on this machine left of the
    same file is removed first.

    Raises:
        UserError: the folder cannot be written.

    """
    path = Path(path)
    private = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
        try:
            yield private
            with open(private, "rb") as handle:
                os.fsync(handle.fileno())
            os.replace(private, path)
        finally:
            private.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {reason(error)}") from error


def _remove_abandoned(path: Path) -> None:
    """Remove the private files of writers of `path` on this machine that live no more."""
    mine = glob.escape(f".{path.name}.{socket.gethostname()}.")
    for private in path.parent.glob(f"{mine}*.partial"):
        writer = private.name.split(".")[-2]
        if writer.isdigit() and not _alive(int(writer)):
            private.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def reason(error: OSError) -> str:
    """Return the system's words for an error, without what HDF5 adds."""
    return os.strerror(error.errno) if error.errno else str(error)


def move(source: str | Path, target: str | Path) -> None:
    """Rename a finished file to its published name, on the same disk.

    Raises:
        UserError: the folder of `target` cannot be written.

    """
    try:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {reason(error)}") from error

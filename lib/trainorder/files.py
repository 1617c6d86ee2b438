"""Publishing files atomically, and the two plain formats results are written in."""

import csv
import glob
import hashlib
import json
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
        raise UserError(f"{path}: cannot be written: {_reason(error)}") from error


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


def _reason(error: OSError) -> str:
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
        raise UserError(f"{target}: cannot be written: {_reason(error)}") from error


def write_text(path: str | Path, text: str) -> None:
    """Publish `text` as UTF-8."""
    with publish(path) as private:
        private.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Publish `value` as JSON; non-finite numbers are refused, since JSON has none (ValueError)."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path, rule: str | None = None) -> Any:
    """Return the parsed file; `rule` is the rule that makes it, to be named in errors.

    Raises:
        UserError: the file is missing, is not JSON, or has a key twice in one object.

    """
    remedy = f"rerun rule `{rule}`"
    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=_unique)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file{'; ' + remedy if rule else ''}") from None
    except (ValueError, OSError, RecursionError) as error:
        remedy = f"; delete it and {remedy}" if rule else ""
        raise UserError(f"{path}: not readable as JSON: {error}{remedy}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; of a key that stands twice, Python would drop the first value."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def write_csv(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Publish rows under `header`; floats keep 17 significant digits, None is an empty cell."""
    with publish(path) as private, open(private, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_csv(path: str | Path) -> list[dict[str, str]]:
    """Return the rows as dictionaries of strings.

    Raises:
        UserError: the file is missing or is not CSV in UTF-8.

    """
    try:
        with open(path, newline="", encoding="utf-8") as handle:
            return list(csv.DictReader(handle))
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV: {error}") from None


def sha256_file(path: str | Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def size_text(size: float) -> str:
    """Return bytes as text, in the largest unit of which there is one."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB" if size < 1000 else f"{size:,.0f} TB"

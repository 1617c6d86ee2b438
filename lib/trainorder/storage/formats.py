"""The plain formats that results are written in: JSON, CSV and text."""

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trainorder.errors import UserError
from trainorder.storage.atomic import publish


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

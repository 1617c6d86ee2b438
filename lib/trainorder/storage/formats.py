"""Read and write results in JSON, CSV and plain text; sizes and times as text."""

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from trainorder.errors import UserError
from trainorder.storage.atomic import publish


def write_text(path: str | Path, text: str) -> None:
    """Publish `text` as a UTF-8 file."""
    with publish(path) as private:
        private.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Publish `value` as JSON.

    Raises:
        ValueError: `value` contains NaN or infinity, which JSON cannot represent.
        UserError: the file cannot be written.

    """
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path, rule: str | None = None) -> Any:
    """Return the parsed content of a JSON file.

    Args:
        path: the file.
        rule: the workflow rule that writes the file. Error messages name it.

    Raises:
        UserError: the file is missing, is not JSON, or an object has a duplicate key.

    """
    remedy = f"rerun rule `{rule}`"
    try:
        text = Path(path).read_text(encoding="utf-8-sig")  # editors may write a byte-order mark
        return json.loads(text, object_pairs_hook=_unique_keys)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file{'; ' + remedy if rule else ''}") from None
    except (ValueError, OSError, RecursionError) as error:
        remedy = f"; delete it and {remedy}" if rule else ""
        raise UserError(f"{path}: not readable as JSON: {error}{remedy}") from None


def json_value(where: str, text: str) -> Any:
    """Return the content of JSON text from a user.

    Args:
        where: the place of the text, for messages.
        text: the text.

    Raises:
        JSONDecodeError: it is not JSON.
        RecursionError: it is nested too deeply.
        UserError: an object has a duplicate key, or a number has too many digits.

    """
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dictionary.

    Without this check Python would drop all but the last value of a duplicate key.

    Raises:
        ValueError: a key is a duplicate.

    """
    unique = dict(pairs)
    if len(unique) < len(pairs):
        keys = [key for key, _ in pairs]
        duplicate = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"duplicate key {duplicate!r} in one object; keep one of the two")
    return unique


def write_csv(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Publish a CSV file with `header` and `rows`.

    Floats are written so that reading returns the same bits. None is written as an empty cell.
    """
    with publish(path) as private, open(private, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def read_csv(path: str | Path) -> list[dict[str, str]]:
    """Return one dictionary of strings for each row, with the header as keys.

    Raises:
        UserError: the file is missing or is not CSV encoded in UTF-8.

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
    """Return a number of bytes as text with three digits, such as `12.3 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB" if size < 1000 else f"{size:,.0f} TB"


def duration_text(seconds: float) -> str:
    """Return a time as text.

    Examples:
        >>> [duration_text(seconds) for seconds in (0.2, 59.4, 200, 7500)]
        ['0 s', '59 s', '3 min 20 s', '2 h 5 min']

    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

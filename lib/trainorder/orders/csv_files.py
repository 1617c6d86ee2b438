"""Reads a user's orders from CSV: one row per order.

The first line holds the column names: `name`, then `kind` if some order is not a permutation, then
one column with any name for each place of the flat schedule. A row lists the units in the order of
training, as the flat `schedule` of the JSON format does.
"""

import csv
import re
from pathlib import Path
from typing import Any

from trainorder.errors import UserError

_FORMAT = (
    "the first line must hold the column names, separated by commas: `name`, `kind` (optional), "
    "then one column for each place of the schedule; each further line is one order"
)
_INTEGER = re.compile("-?[0-9]{1,100}")  # stricter than int(), which accepts `0_3`


def csv_entries(path: str | Path) -> list[dict[str, Any]]:
    """Return the orders as the JSON format has them: `name`, flat `schedule`, optional `kind`.

    Raises:
        UserError: the file is missing or is not such a table, a row is longer than the first line,
            or a cell is not a whole number.

    """
    header, *rows = _rows(path) or [["name"]]
    if header[0] != "name":
        raise UserError(
            f"{path}: the line of column names is missing: the file begins with {header[0]!r}; "
            f"{_FORMAT}"
        )
    if not rows:
        raise UserError(f"{path}: no orders; {_FORMAT}")
    first_place = 2 if header[1:2] == ["kind"] else 1
    for row in rows:
        if len(row) > len(header):
            raise UserError(
                f"{path}: order {row[0]!r}: {len(row) - first_place} places, but the first line "
                f"names {len(header) - first_place}; correct the row or the first line"
            )
    return [_entry(path, row, first_place) for row in rows]


def _rows(path: str | Path) -> list[list[str]]:
    """Return the cells of all lines that are not blank."""
    try:
        # Spreadsheets may write a byte order mark.
        with open(path, newline="", encoding="utf-8-sig") as handle:
            rows = [[cell.strip() for cell in row] for row in csv.reader(handle, strict=True)]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV: {error}") from None
    return [row for row in rows if any(row)]


def _entry(path: str | Path, row: list[str], first_place: int) -> dict[str, Any]:
    """Return the order of a row whose schedule begins in column `first_place`."""
    name, kind = row[0], "".join(row[1:first_place])
    schedule = []
    for place, cell in enumerate(row[first_place:]):
        if not _INTEGER.fullmatch(cell):
            raise UserError(
                f"{path}: order {name!r}: place {place} is {cell!r}; expected a whole number"
            )
        schedule.append(int(cell))
    return {"name": name, "schedule": schedule, **({"kind": kind} if kind else {})}

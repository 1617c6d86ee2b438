"""A user's orders as CSV: one row an order.

The first line is the heading: `name`, then `kind` if some order is not a permutation, then one
column a place of the flat schedule, under any heading. A row thus reads as the schedule of the
JSON form does, in the order of training. (The long form, a row for each name, step and unit, would
cut an order into many rows, and could leave out a step or name it twice.)
"""

import csv
import re
from pathlib import Path
from typing import Any

from trainorder.errors import UserError

_FORM = (
    "the first line names the columns, separated by commas: `name`, `kind` (may be left out), then "
    "one a place of the schedule; below it a line is an order"
)
_WHOLE = re.compile("-?[0-9]{1,100}")  # Python takes `0_3` for a number, too


def csv_entries(path: str | Path) -> list[dict[str, Any]]:
    """Return the orders as the JSON form has them: `name`, flat `schedule`, `kind` if it is given.

    Raises:
        UserError: the file is missing, is no such table, a row is longer than the heading, or a
            cell is no whole number.

    """
    header, *rows = _rows(path) or [["name"]]
    if header[0] != "name":
        raise UserError(f"{path}: the heading is missing: begins with {header[0]!r}; {_FORM}")
    if not rows:
        raise UserError(f"{path}: holds no orders; {_FORM}")
    places = 2 if header[1:2] == ["kind"] else 1
    for row in rows:
        if len(row) > len(header):
            raise UserError(
                f"{path}: order {row[0]!r}: {len(row) - places} places, but the heading names "
                f"{len(header) - places}; mend the row, or name them all"
            )
    return [_entry(path, row, places) for row in rows]


def _rows(path: str | Path) -> list[list[str]]:
    """Return the cells of all lines that are not blank."""
    try:
        # what spreadsheets write may open with a byte order mark
        with open(path, newline="", encoding="utf-8-sig") as handle:
            rows = [[cell.strip() for cell in row] for row in csv.reader(handle, strict=True)]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV: {error}") from None
    return [row for row in rows if any(row)]


def _entry(path: str | Path, row: list[str], places: int) -> dict[str, Any]:
    """Return the order of a row whose schedule begins in column `places`."""
    name, kind = row[0], "".join(row[1:places])
    schedule = []
    for place, cell in enumerate(row[places:]):
        if not _WHOLE.fullmatch(cell):
            raise UserError(
                f"{path}: order {name!r}: place {place} holds {cell!r}, not a whole number"
            )
        schedule.append(int(cell))
    return {"name": name, "schedule": schedule, **({"kind": kind} if kind else {})}

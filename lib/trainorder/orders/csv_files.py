"""Reads a user's orders from CSV: one row per order, or plain numbers.

The first line holds the column names: `name`, then `kind` if some order is not a permutation, then
one column with any name for each place of the flat schedule. A row lists the units in the order of
training, as the flat `schedule` of the JSON format does. A file that begins with a number is a
table of unit indices without column names (see `orders.number_lists`); a single column may have a
heading.
"""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.config.sections.window import WindowConfig
from trainorder.errors import UserError
from trainorder.orders.number_lists import number_entries

_FORMAT = (
    "the first line must hold the column names, separated by commas: `name`, `kind` (optional), "
    "then one column for each place of the schedule; each further line is one order"
)
_INTEGER = re.compile("-?[0-9]{1,100}")  # stricter than int(), which accepts `0_3`
_NUMBERS = re.compile(
    r"[-+]?[0-9][-+0-9.e; \t]*", re.IGNORECASE
)  # with fractions or other separators


def csv_entries(path: str | Path, window: WindowConfig | None) -> list[dict[str, Any]]:
    """Return the orders as the JSON format has them: `name`, flat `schedule`, optional `kind`.

    Args:
        path: the file; cells are separated by commas, in a `.tsv` file by tabs, and in a `.txt`
            file by blanks or commas.
        window: tells one order of several rows from several orders, without column names.

    Raises:
        UserError: the file is missing or is not such a table, a row is longer than the first line,
            a cell is not a whole number, or the first row of numbers may be column names.

    """
    header, *rows = _rows(path) or [["name"]]
    if _INTEGER.fullmatch(header[0]):
        return _numbers(path, [header, *rows], window)
    if len(header) == 1 and rows and len(rows[0]) == 1 and _INTEGER.fullmatch(rows[0][0]):
        return _numbers(path, rows, window)
    if _NUMBERS.fullmatch(header[0]):
        raise UserError(
            f"{path}: begins with {header[0]!r}; expected whole numbers separated by commas; with "
            'numpy, write them by np.savetxt(..., fmt="%d", delimiter=",")'
        )
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
                f"names {len(header) - first_place}; correct the row or the first line{_end(row)}"
            )
    return [_entry(path, row, first_place) for row in rows]


def _rows(path: str | Path) -> list[list[str]]:
    """Return the cells of all lines that are not blank."""
    suffix = Path(path).suffix.lower()
    try:
        # Spreadsheets may write a byte order mark.
        with open(path, newline="", encoding="utf-8-sig") as handle:
            if suffix == ".txt":
                return [cells for line in handle if (cells := line.replace(",", " ").split())]
            reader = csv.reader(handle, strict=True, delimiter="\t" if suffix == ".tsv" else ",")
            rows = [[cell.strip() for cell in row] for row in reader]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV: {error}") from None
    return [row for row in rows if any(row)]


def _entry(path: str | Path, row: list[str], first_place: int) -> dict[str, Any]:
    """Return the order of a row whose schedule begins in column `first_place`."""
    name, kind = row[0], "".join(row[1:first_place])
    schedule = [
        _whole(f"{path}: order {name!r}: place {place}", cell, row)
        for place, cell in enumerate(row[first_place:])
    ]
    return {"name": name, "schedule": schedule, **({"kind": kind} if kind else {})}


def _numbers(
    path: str | Path, rows: list[list[str]], window: WindowConfig | None
) -> list[dict[str, Any]]:
    """Return the orders of a table of numbers."""
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise UserError(
                f"{path}: row {number} has {len(row)} numbers, but row 0 has {len(rows[0])}; make "
                f"them equal{_end(row) or _end(rows[0])}"
            )
    values = np.array(
        [
            [_whole(f"{path}: row {number}", cell, row) for cell in row]
            for number, row in enumerate(rows)
        ]
    )
    if _begins_with_names(values):
        raise UserError(
            f"{path}: its first line counts from 0 to {values.shape[1] - 1}, as pandas names "
            "columns; write no such names (header=False); if it is an order, add a first line of "
            "names and a column `name`"
        )
    return number_entries(Path(path).stem, values, window)


def _begins_with_names(values: np.ndarray) -> bool:
    """Return whether the first of several rows may be numbers of columns instead of units.

    It counts from 0, and the rows after it have all units without it.
    """
    if values[0].tolist() != list(range(values.shape[1])):
        return False
    units, counts = np.unique(values[1:], return_counts=True)
    return units.tolist() == list(range(len(units))) and len({*counts.tolist()}) == 1


def _whole(where: str, cell: str, row: list[str]) -> int:
    if not _INTEGER.fullmatch(cell):
        raise UserError(f"{where} is {cell!r}; expected a whole number{_end(row)}")
    return int(cell)


def _end(row: list[str]) -> str:
    """Return what to say of a row whose last cell is empty."""
    return "; the row ends with a separator, remove it" if row[-1] == "" else ""

"""Reads the learning rates of a run from its own record, a CSV file."""

import csv
import math
from pathlib import Path

from trainorder.errors import UserError

COLUMNS = ("step", "learning_rate")


def read_rates(path: str | Path, steps: range) -> list[float]:
    """Return the learning rate of each of `steps` from a CSV file.

    Its first line names the columns, with `step` and `learning_rate` among them. A step is the
    number of updates before it, so the first update has step 0. Rows may be in any sequence.

    Raises:
        UserError: the file is missing or is not such a table, a number is invalid, or a step has
            no rate or several.

    """
    rates: dict[int, float] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as handle:  # may have a byte order mark
            rows = list(csv.DictReader(handle, strict=True))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV: {error}") from None
    for number, row in enumerate(rows, start=1):
        step, rate = _numbers(path, number, row)
        if step in rates:
            raise UserError(f"{path}: step {step} has two rows; keep one of them")
        rates[step] = rate
    if missing := [step for step in steps if step not in rates]:
        raise UserError(
            f"{path}: has no rate of step {missing[0]}; it must have every step from {steps[0]} to "
            f"{steps[-1]}"
        )
    return [rates[step] for step in steps]


def _numbers(path: str | Path, number: int, row: dict[str, str]) -> tuple[int, float]:
    for column in COLUMNS:
        if row.get(column) is None:
            raise UserError(
                f"{path}: row {number} has no column `{column}`; the first line must name the "
                f"columns {' and '.join(COLUMNS)}"
            )
    try:
        step, rate = int(row["step"]), float(row["learning_rate"])
    except ValueError:
        step, rate = -1, math.nan
    if step < 0 or not 0 <= rate <= 1e30:
        cells = f"{row['step']},{row['learning_rate']}"
        raise UserError(
            f"{path}: row {number} is {cells!r}; expected a whole step and a rate of at least 0"
        )
    return step, rate

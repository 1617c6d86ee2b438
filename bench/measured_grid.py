"""The measured page of a grid of studies, and the command that measures its rows.

The records of the page, `docs/measured/<grid>.json`, are also the store of what is measured: a cell
is measured if the file has a record with the configuration that the cell has now. So a fresh clone
goes on where another one stopped. A record of another configuration is dropped when the page is
written. A change of the code does not count: `--again` measures a row once more.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.config_hash import config_hash
from bench.grid import Cell
from bench.studies import say
from trainorder.errors import UserError
from trainorder.storage.formats import read_json, write_json

MEASURED = Path("docs/measured")

Record = Mapping[str, Any]


@dataclass(frozen=True)
class MeasuredGrid:
    """A grid of studies with its file of records.

    Attributes:
        name: name of the page.
        cells: all cells, in the sequence of the page.
        write_page: writes the page and the figures from the content of the file of records.

    """

    name: str
    cells: Sequence[Cell]
    write_page: Callable[[Record], None]

    @property
    def file(self) -> Path:
        """The file of the records."""
        return MEASURED / f"{self.name}.json"

    def rows(self) -> dict[str, dict[str, Any]]:
        """Return the record of each measured cell, by the cell's name.

        Raises:
            UserError: the file of records, or the configuration, is not readable.

        """
        records = read_json(self.file) if self.file.is_file() else {}
        return self._rows_of(records.get("cells", ()))  # an earlier version wrote no cells

    def measure(self, names: Sequence[str], cores: int | None, again: bool = False) -> None:
        """Measure the cells that are not measured; each is written into the page when finished.

        Args:
            names: names of the cells; empty for all.
            cores: number of jobs at once; None for all cores.
            again: whether cells that are measured are measured again.

        Raises:
            UserError: a name is unknown, or a study failed for another reason than divergence.

        """
        cells = self._chosen(names)
        for number, cell in enumerate(cells, start=1):
            if not again and cell.name in self.rows():
                say(f"{number} of {len(cells)}: {cell.label}: measured already")
                continue
            say(f"{number} of {len(cells)}: {cell.label}")
            record = cell.measure(cores)
            self.write({**self.rows(), cell.name: record})  # another process may have added rows

    def joined(self, file: Path) -> dict[str, dict[str, Any]]:
        """Return the rows with those of another file of records, which replace the own ones.

        Raises:
            UserError: the file is not readable, or none of its records has a cell.

        """
        rows = self._rows_of(read_json(file)["cells"])
        if not rows:
            raise UserError(f"{file}: no record has the present configuration of a row")
        return {**self.rows(), **rows}

    def write(self, rows: Mapping[str, Record]) -> None:
        """Write the file of records and the page of these rows.

        Raises:
            UserError: there are no rows.

        """
        if not rows:
            raise UserError(f"{self.file}: no row is measured; measure one first")
        record = {
            "grid": self.name,
            "cells": [rows[cell.name] for cell in self.cells if cell.name in rows],
            "missing": [cell.label for cell in self.cells if cell.name not in rows],
        }
        write_json(self.file, record)
        self.write_page(record)

    def state(self) -> str:
        """Return a line for each cell: its name, whether it is measured, and its label."""
        rows, width = self.rows(), max(len(cell.name) for cell in self.cells)
        states = ["measured" if cell.name in rows else "missing" for cell in self.cells]
        return "\n".join(
            f"{cell.name:{width}}  {state:8}  {cell.label}"
            for cell, state in zip(self.cells, states, strict=True)
        )

    def _rows_of(self, records: Sequence[Record]) -> dict[str, dict[str, Any]]:
        """Return the records that have the configuration of a cell, by the name of the cell."""
        known = {config_hash(record["config"]): record for record in records}
        return {
            cell.name: cell.as_row(known[key])
            for cell, key in zip(self.cells, self._keys, strict=True)
            if key in known
        }

    @cached_property
    def _keys(self) -> list[str]:
        """The hash of the configuration of each cell."""
        return [config_hash(cell.study.config()) for cell in self.cells]

    def _chosen(self, names: Sequence[str]) -> list[Cell]:
        known = [cell.name for cell in self.cells]
        if unknown := [name for name in names if name not in known]:
            raise UserError(f"--only: unknown row `{unknown[0]}`; the rows are {', '.join(known)}")
        return [cell for cell in self.cells if not names or cell.name in names]


def parser(description: str) -> argparse.ArgumentParser:
    """Return the options that the commands of all grids have."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--cores", type=int, help="jobs at once (default: all cores)")
    options.add_argument("--only", nargs="+", default=[], metavar="NAME", help="measure these rows")
    options.add_argument("--again", action="store_true", help="also measure rows that are measured")
    options.add_argument("--list", action="store_true", help="list the rows and measure nothing")
    options.add_argument("--page", action="store_true", help="only write the page again")
    options.add_argument("--add", type=Path, metavar="FILE", help="add rows of another JSON file")
    return options


def run_command(make_grid: Callable[[], MeasuredGrid], chosen: argparse.Namespace) -> None:
    """Do what the options of `parser` ask; an error is one line."""
    try:
        grid = make_grid()
        if chosen.list:
            say(grid.state())
            return
        if chosen.add:
            grid.write(grid.joined(chosen.add))
        else:
            if not chosen.page:
                grid.measure(chosen.only, chosen.cores, chosen.again)
            grid.write(grid.rows())
    except UserError as error:
        sys.exit(f"error: {error}")
    say(f"{grid.file.with_suffix('.md')}")

"""The stages of a plan as a printed table."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from trainorder.evaluation.estimate_cost import retrainings_text
from trainorder.storage.formats import size_text

_WIDTH = 500  # characters; no row is cut


def plan_table(record: Mapping[str, Any]) -> list[str]:
    """Return the content of `plan.json` as the lines of a table, with a row for each stage."""
    head = ["stage", "jobs", "gradients", "HVPs", "retrainings", "disk", "memory", "hours"]
    rows = [_row(name, entry) for name, entry in summands(record).items()]
    return _aligned(head, [*rows, _row("total", record["total"])])


def summands(record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the entries of `plan.json` that add up to its total, by name."""
    replicates = {f"replicate {name}": entry for name, entry in record["replicates"].items()}
    return {**record["stages"], **replicates}


def _row(name: str, entry: Mapping[str, Any]) -> list[str]:
    return [
        name,
        str(entry["jobs"]),
        f"{entry['counts'].get('gradients', 0):,}",
        f"{entry['counts'].get('hvps', 0):,}",
        retrainings_text(entry["retrainings"]),
        size_text(entry["bytes"]),
        size_text(entry["peak_bytes"]),
        _hours(entry["seconds"]),
    ]


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table as lines of plain text, with the first column aligned to the left."""
    table = Table(box=None, pad_edge=False, header_style="")
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    text = io.StringIO()
    Console(file=text, width=_WIDTH, color_system=None, markup=False, emoji=False).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines()]


def _hours(seconds: float) -> str:
    """Return seconds as text in hours; `-` for less than a second."""
    return f"{seconds / 3600:.3g}" if seconds >= 1 else "-"

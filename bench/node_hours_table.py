"""The table of the node hours of each preset."""

from collections.abc import Mapping
from typing import Any

from bench.page import Record, number, table
from bench.studies import environment_text
from trainorder.storage.formats import size_text

MARK = "node_hours"
DEFAULT = "default"
NODE_CORES = 64  # of the node whose hours are stated
HEAD = ("preset", "parameters", "core hours", "node hours", "hours on one node", "disk")


def markdown(record: Record) -> str:
    """Return the table and what it assumes."""
    rows = [_row(name, row) for name, row in record["rows"].items()]
    assumption = (
        f"Node hours are the plan's core hours divided by {NODE_CORES}: a node has {NODE_CORES} "
        "cores, each as fast as those that the plan timed, and all of them compute. *Hours on one "
        "node* also counts the jobs that must wait for each other, so some cores are idle. Jobs "
        "have one thread and use no GPU. Not included: reading and packing the text, figures, the "
        "explorer and downloads. Planned by `python -m bench.node_hours` on "
        f"{environment_text(record['made'])}."
    )
    return f"{table([*HEAD, 'downloads'], rows)}\n\n{assumption}"


def _row(name: str, row: Mapping[str, Any]) -> list[str]:
    label = "none: `config.yaml`" if name == DEFAULT else f"`{name}`"
    notes = ", ".join(row["inputs"]) or "none"
    if row.get("one_sequence"):
        notes += "; timed with one sequence, and taken to be proportional"
    if "error" in row:
        notes += f"; not planned here: {row['error']}"
    core_hours = row.get("core_hours")
    return [
        label,
        f"{row['parameters']:,}" if "parameters" in row else number(None),
        _hours(core_hours),
        _hours(None if core_hours is None else core_hours / NODE_CORES),
        _hours(row.get("wall_hours")),
        size_text(row["bytes"]) if "bytes" in row else number(None),
        notes,
    ]


def _hours(value: float | None) -> str:
    return number(value) if value is None or value < 1000 else f"{value:,.0f}"

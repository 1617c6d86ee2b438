"""The plan of a study as a printed table."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from trainorder.storage.formats import size_text

_WIDTH = 500  # characters; no row is cut


def plan_table(record: Mapping[str, Any]) -> str:
    """Return the content of `plan.json` as a table of plain text, with its assumptions below."""
    head = ["stage", "jobs", "gradients", "HVPs", "retrainings", "disk", "memory", "hours"]
    rows = [_row(name, entry) for name, entry in record["stages"].items()]
    rows += [_row(f"replicate {name}", entry) for name, entry in record["replicates"].items()]
    total = record["total"]
    lines = _aligned(head, [*rows, _row("total", total)])
    disk = f"{size_text(total['bytes'])}, and {size_text(total['scratch_bytes'])} while jobs run"
    if total["vector_file_bytes"]:
        disk += f"; up to {size_text(total['vector_file_bytes'])} per job in TMPDIR (see memory_gb)"
    lines += [
        "",
        f"About {total['hours']:.3g} CPU hours: {total['wall_hours']:.3g} hours on "
        f"{record['cores']} cores, {record['threads']} threads per job. Disk: {disk}.",
        "Gradients and HVPs are counted in sequences, and all passes together in retrainings.",
    ]
    known = record["predictability"] or "not measured; run `snakemake predictability`"
    lines.append(f"Predictability: {known}.")
    if total["peak_bytes"] > record["machine_bytes"]:
        lines.append(
            f"WARNING: a job may need {size_text(total['peak_bytes'])} of memory; "
            f"this machine has {size_text(record['machine_bytes'])}"
        )
    lines += [f"assumed: {line}" for line in record["assumed"]]
    lines += [f"not planned: {line}" for line in record["left_out"]]
    return "\n".join(lines)


def _row(name: str, entry: Mapping[str, Any]) -> list[str]:
    return [
        name,
        str(entry["jobs"]),
        f"{entry['counts'].get('gradients', 0):,}",
        f"{entry['counts'].get('hvps', 0):,}",
        _retrainings(entry["retrainings"]),
        size_text(entry["bytes"]),
        size_text(entry["peak_bytes"]),
        time_text(entry["seconds"]),
    ]


def _retrainings(cost: float) -> str:
    return f"{cost:,.0f}" if cost >= 1000 else f"{cost:.3g}"


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


def time_text(seconds: float) -> str:
    """Return seconds as text in hours; `-` for less than a second."""
    return f"{seconds / 3600:.3g}" if seconds >= 1 else "-"

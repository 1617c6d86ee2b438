"""The printed plan: the costs in a few lines, the table of stages, the costs in one line."""

from collections.abc import Mapping
from typing import Any

from trainorder.evaluation.estimate_cost import retrainings_text
from trainorder.planning.plan_table import plan_table, summands
from trainorder.storage.formats import duration_text, size_text

_LARGEST = 3  # stages that the first lines name

Record = Mapping[str, Any]


def plan_text(record: Record, measure: str) -> str:
    """Return the content of `plan.json` as plain text.

    Args:
        record: the content.
        measure: the command that measures predictability.

    """
    table_note = "Gradients and HVPs are counted in sequences, hours over all jobs of a stage."
    return "\n".join(
        [
            *_answer(record, measure),
            "",
            *plan_table(record),
            table_note,
            "",
            *(f"assumed: {line}" for line in record["assumed"]),
            *(f"not planned: {line}" for line in record["left_out"]),
            "",
            *_in_short(record),
        ]
    )


def _answer(record: Record, measure: str) -> list[str]:
    """Return the costs of the study, one line each, and its largest stages."""
    known = record["predictability"] or f"not measured; `{measure}` measures it"
    rows = {
        "retrainings": f"{retrainings_text(record['total']['retrainings'])}: all passes, counted "
        "in trainings of the window",
        "time": f"{_time(record)}; {_counted(record['threads'], 'thread')} per job",
        "disk": _disk(record),
        "memory": f"{size_text(record['total']['peak_bytes'])} in the largest job; this machine "
        f"has {size_text(record['machine_bytes'])}",
        "most time": _largest(record, "seconds"),
        "most disk": _largest(record, "bytes"),
        "predictability": known,
    }
    width = max(map(len, rows))
    head = f"Study `{record['study']}` ({record['parameters']:,} parameters) costs about:"
    return [head, *(f"  {label:{width}}  {text}" for label, text in rows.items())]


def _in_short(record: Record) -> list[str]:
    """Return the costs in one line, and a warning if a job needs more memory than there is."""
    total = record["total"]
    memory = size_text(total["peak_bytes"])
    line = (
        f"In short: {_time(record)}, {retrainings_text(total['retrainings'])} retrainings, "
        f"{size_text(total['bytes'])} of disk, {memory} of memory."
    )
    if total["peak_bytes"] <= record["machine_bytes"]:
        return [line]
    has = size_text(record["machine_bytes"])
    return [line, f"WARNING: a job may need {memory} of memory; this machine has {has}"]


def _time(record: Record) -> str:
    total = record["total"]
    wall = duration_text(3600 * total["wall_hours"])
    cores = _counted(record["cores"], "core")
    return f"{wall} on {cores} ({_core_hours(record):.3g} core hours)"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _core_hours(record: Record) -> float:
    """Return the hours of all jobs, times the cores that a job uses."""
    return float(record["total"]["hours"] * record["threads"])


def _disk(record: Record) -> str:
    total = record["total"]
    text = (
        f"{size_text(total['bytes'])}, and {size_text(total['scratch_bytes'])} more while jobs run"
    )
    if not total["vector_file_bytes"]:
        return text
    return f"{text}; {size_text(total['vector_file_bytes'])} per job in TMPDIR (see memory_gb)"


def _largest(record: Record, kind: str) -> str:
    """Return the stages that need most of a kind, with their shares of the total."""
    entries = summands(record)
    names = sorted(entries, key=lambda name: -entries[name][kind])[:_LARGEST]
    return ", ".join(f"{name} {entries[name][kind] / record['total'][kind]:.0%}" for name in names)

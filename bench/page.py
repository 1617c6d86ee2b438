"""Tables and numbers of measured pages, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None) -> str:
    """Return a number with three digits."""
    return "–" if value is None else f"{value:.3g}"


def interval(record: Record) -> str:
    """Return a number with its interval."""
    if record["value"] is None:
        return "undefined"
    if record["low"] is None or record["high"] is None:
        return number(record["value"])
    return f"{number(record['value'])} [{number(record['low'])}, {number(record['high'])}]"


def missing(record: Record) -> list[str]:
    """Return the sentence that names the rows of a page that are not measured, if any."""
    labels = record.get("missing", ())
    return [f"Not measured yet: {'; '.join(labels)}."] if labels else []

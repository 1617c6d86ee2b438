"""Tables, numbers and marked parts of measured pages, in Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainorder.storage.formats import write_text

NOT_MEASURED = "not measured yet"

Record = Mapping[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None) -> str:
    """Return a number with three digits."""
    return "–" if value is None else f"{value:.3g}"


def short_number(value: float | None) -> str:
    """Return a number with two digits; from 100 on, all digits before the point."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def interval(record: Record) -> str:
    """Return a number with its interval."""
    if record["value"] is None:
        return "undefined"
    if record["low"] is None or record["high"] is None:
        return number(record["value"])
    return f"{number(record['value'])} [{number(record['low'])}, {number(record['high'])}]"


def numbers(values: Sequence[float | None]) -> str:
    """Return numbers in a row.

    >>> numbers([0.5, 1.234, None])
    '0.5, 1.23, –'
    """
    return ", ".join(map(number, values))


def is_above_zero(record: Record) -> bool:
    """Return whether the whole interval of a number is above zero; False without an interval."""
    return record["low"] is not None and record["low"] > 0


def missing(record: Record) -> list[str]:
    """Return the sentence that names the rows of a page that are not measured, if any."""
    labels = record.get("missing", ())
    return [f"Not measured yet: {'; '.join(labels)}."] if labels else []


def replace_marked(page: Path, name: str, text: str) -> None:
    """Replace what is between the marks `<!-- name -->` and `<!-- /name -->` of a page."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    content = page.read_text(encoding="utf-8")
    before, after = content.split(begin)[0], content.split(end)[1]
    write_text(page, f"{before}{begin}\n{text}\n{end}{after}")

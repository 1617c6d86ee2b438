"""The best order as a strip of blocks, one for each unit, marked by domain as in the explorer."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainorder.evaluation import result_files
from trainorder.explorer.domain_marks import DomainMark, domain_marks
from trainorder.storage.formats import read_json


def order_strip(folder: str | Path) -> str:
    """Return the winner of the search as HTML; empty without a search.

    Args:
        folder: of the study's results.

    """
    file = result_files.WINNERS.path(folder)
    if not file.exists():
        return ""
    winner = read_json(file, result_files.WINNERS.rule)["orders"][0]
    orders = read_json(result_files.ORDERS.path(folder), result_files.ORDERS.rule)
    unit_domains = orders["unit_domains"]
    marks = domain_marks(unit_domains)
    steps = [_units(step) for step in winner["schedule"]]
    domains = [unit_domains[unit] for units in steps for unit in units]
    blocks = "".join(
        f"<div>{''.join(_block(unit, unit_domains[unit], marks, t) for unit in units)}"
        f"<small>{t}</small></div>"
        for t, units in enumerate(steps)
    )
    legend = ", ".join(
        f"{html.escape(mark.code)} {html.escape(name)}"
        for name, mark in marks.items()
        if name in domains
    )
    return (
        f'<p class="study">The units of <code>{html.escape(winner["name"])}</code> by domain, '
        f'with the step below each ({legend}); the file is <a href="{result_files.WINNERS.name}">'
        f'{result_files.WINNERS.name}</a>:</p>\n<div class="strip">{blocks}</div>'
    )


def _block(unit: int, domain: str, marks: Mapping[str, DomainMark], step: int) -> str:
    mark = marks[domain]
    return (
        f'<span style="background:{mark.colour};color:{mark.ink}" '
        f'title="unit {unit}, {html.escape(domain)}, step {step}">{html.escape(mark.code)}</span>'
    )


def _units(step: Any) -> Sequence[int]:
    return step if isinstance(step, list) else [step]

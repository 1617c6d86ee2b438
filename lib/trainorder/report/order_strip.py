"""The best order as a strip of blocks, one for each unit, marked by domain as in the explorer."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainorder.evaluation import result_files
from trainorder.explorer.domain_marks import domain_marks
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
    domains = [orders["unit_domains"][unit] for step in winner["schedule"] for unit in _units(step)]
    marks = domain_marks(orders["unit_domains"])
    blocks = "".join(
        f'<span style="background:{marks[name].colour};color:{marks[name].ink}" '
        f'title="{html.escape(name)}">{html.escape(marks[name].code)}</span>'
        for name in domains
    )
    legend = ", ".join(
        f"{html.escape(mark.code)} {html.escape(name)}"
        for name, mark in marks.items()
        if name in domains
    )
    return (
        f'<p class="study">The units of <code>{html.escape(winner["name"])}</code> by domain, '
        f'first to last ({legend}); the file is <a href="{result_files.WINNERS.name}">'
        f'{result_files.WINNERS.name}</a>:</p>\n<div class="strip">{blocks}</div>'
    )


def _units(step: Any) -> Sequence[int]:
    return step if isinstance(step, list) else [step]

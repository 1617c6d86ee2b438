"""The best order as a strip of blocks, one for each unit, with a letter for its domain."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainorder.evaluation import result_files
from trainorder.storage.formats import read_json

# Pale colours of different lightness, under dark letters: the letters tell domains apart, too.
_COLOURS = ("#f0e442", "#8fc7e8", "#f4b183", "#9ad1b0", "#d9b3d9", "#d0d0d0", "#ffd9d9", "#b9c6ff")


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
    letters = _letters(list(dict.fromkeys(sorted(domains))))
    blocks = "".join(
        f'<span style="background:{letters[name][1]}" title="{html.escape(name)}">'
        f"{letters[name][0]}</span>"
        for name in domains
    )
    legend = ", ".join(f"{letter} {html.escape(name)}" for name, (letter, _) in letters.items())
    return (
        f'<p class="study">The units of <code>{html.escape(winner["name"])}</code> by domain, '
        f'first to last ({legend}); the file is <a href="{result_files.WINNERS.name}">'
        f'{result_files.WINNERS.name}</a>:</p>\n<div class="strip">{blocks}</div>'
    )


def _units(step: Any) -> Sequence[int]:
    return step if isinstance(step, list) else [step]


def _letters(domains: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the shortest beginning of each name that no name before it has, and its colour."""
    letters: dict[str, tuple[str, str]] = {}
    for number, name in enumerate(domains):
        taken = {letter for letter, _ in letters.values()}
        lengths = range(1, len(name) + 1)
        letter = next((name[:n] for n in lengths if name[:n] not in taken), name)
        letters[name] = (html.escape(letter), _COLOURS[number % len(_COLOURS)])
    return letters

"""The short code and the colour of each domain, in the explorer and in the report.

Codes say the same as colours, for grey prints and screens.
"""

from collections.abc import Iterable
from typing import NamedTuple

from trainorder.config.unit_labels import MIXED

# The palette of Okabe and Ito, which colour-blind readers can tell apart.
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
_GREY = "#8a8a8a"  # of units that mix domains


class DomainMark(NamedTuple):
    """How the blocks of a domain are drawn: one or two letters, their colour, and the block's."""

    code: str
    colour: str
    ink: str


def domain_marks(unit_domains: Iterable[str]) -> dict[str, DomainMark]:
    """Return the mark of each domain, sorted by name.

    Args:
        unit_domains: domains, each at least once.

    Examples:
        >>> marks = domain_marks(["speeches", "code", "scripture", "code"])
        >>> {name: mark.code for name, mark in marks.items()}
        {'code': 'co', 'scripture': 'sc', 'speeches': 'sp'}

    """
    names = sorted(set(unit_domains))
    pure = [name for name in names if name != MIXED]
    colours = {name: _PALETTE[i % len(_PALETTE)] for i, name in enumerate(pure)} | {MIXED: _GREY}
    codes = _codes(names)
    return {name: DomainMark(codes[name], colours[name], _ink(colours[name])) for name in names}


def _codes(names: Iterable[str]) -> dict[str, str]:
    """Return two letters of each name, different for different names where letters allow it."""
    codes: dict[str, str] = {}
    for name in names:
        first = name[:1] or "?"
        choices = [*(first + letter for letter in name[1:]), first]
        codes[name] = next((code for code in choices if code not in codes.values()), choices[0])
    return codes


def _ink(colour: str) -> str:
    """Return black or white, which has more contrast on `colour`."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return "#000" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "#fff"

"""Likely causes where a row of the benchmark missed its accuracy, from what the row measured.

Three things limit `corrected`: small changes grow over the window; the draw of its sequences has
noise, which falls with the square root of their number; and orders drift away from the known runs,
which more sequences do not change. So the ladder tells the second from the third: the noise alone
divides the error by 1.41 where the size doubles, the drift alone by 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainorder.evaluation.predictability import PREDICTABLE_GROWTH

Record = Mapping[str, Any]

LARGE = 4  # sizes down to this part of the largest one count
LIMIT = 2**0.25  # between a fall of 1 and one of the square root of 2


def causes(cell: Record) -> list[str]:
    """Return the likely causes of a measured row's error, in words."""
    found, growth = [], cell["growth"]["value"]
    if growth is None or growth > PREDICTABLE_GROWTH:
        found.append(f"growth above {PREDICTABLE_GROWTH:g}")
    fall = error_fall(cell["ladder"]["levels"]) if cell.get("ladder") else None
    if fall is not None:
        cause = "noise of the draw" if fall > LIMIT else "drift over the window"
        found.append(f"{cause} (twice the size divides the error by {fall:.2f})")
    return found


def error_fall(levels: Sequence[Record]) -> float | None:
    """Return the factor by which the relative error falls where the size of `corrected` doubles.

    Args:
        levels: of the ladder; the largest sizes count.

    Returns:
        The factor, from a line through the logarithms; None with less than two sizes.

    """
    largest = max(level["size"] for level in levels)
    counted = [one for one in levels if one["relative_error"] and one["size"] * LARGE >= largest]
    if len(counted) < 2:
        return None
    sizes, errors = (np.log2([one[key] for one in counted]) for key in ("size", "relative_error"))
    return float(2.0 ** -np.polyfit(sizes, errors, 1)[0])

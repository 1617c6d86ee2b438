"""Whether the intervals of a study contain the truth as often as they are meant to."""

from collections.abc import Mapping
from typing import Any

NARROW, WIDE = "too narrow", "wider than meant"


def judged_coverage(covered: Mapping[str, Any], aimed: float) -> str:
    """Return `NARROW`, `WIDE`, or an empty text if the study shows neither.

    Args:
        covered: `value`, `low` and `high` of the share of orders whose truth is inside, with the
            exact binomial interval of this share.
        aimed: the configured share.

    """
    if covered["value"] is None:
        return ""
    if covered["high"] < aimed:
        return NARROW
    return WIDE if covered["low"] > aimed else ""


def orders_inside(covered: Mapping[str, Any]) -> int:
    """Return the number of orders whose truth is inside, of the `n` that `value` is a share of."""
    return round(float(covered["value"]) * int(covered["n"]))


def coverage_text(covered: Mapping[str, Any], aimed: float) -> str:
    """Return how often intervals contain the truth, and whether they are too narrow; or nothing."""
    if covered["value"] is None:
        return ""
    judged = judged_coverage(covered, aimed)
    shown = f"; so they are {judged} here" if judged else ""
    return (
        f"its intervals, meant to contain {100 * aimed:g} % of the true losses, contain "
        f"{orders_inside(covered)} of {covered['n']}{shown}"
    )

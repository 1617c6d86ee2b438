"""Whether the intervals of a study contain the truth as often as they are meant to."""

from collections.abc import Mapping
from typing import Any

NARROW, WIDE = "too narrow", "too wide"


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


def coverage_text(covered: Mapping[str, Any], aimed: float) -> str:
    """Return how often intervals contain the truth, and whether they are too narrow; or nothing."""
    if covered["value"] is None:
        return ""
    inside, judged = round(covered["value"] * covered["n"]), judged_coverage(covered, aimed)
    shown = f"; so they are {judged} here" if judged else ""
    return (
        f"its intervals, meant to contain {100 * aimed:g} % of the true losses, contain "
        f"{inside} of {covered['n']}{shown}"
    )

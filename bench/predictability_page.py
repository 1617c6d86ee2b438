"""The table of the classes of growth, with how measured studies of each class ended."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.page import table
from trainorder.evaluation.measured_studies import what_to_expect
from trainorder.evaluation.predictability import (
    HARD,
    PREDICTABLE,
    PREDICTABLE_GROWTH,
    UNPREDICTABLE,
    UNPREDICTABLE_GROWTH,
)

HEAD = ["growth", "expectation", "how measured studies ended"]
CLASSES = {
    f"up to {PREDICTABLE_GROWTH:g}, the upper end of its interval included": PREDICTABLE,
    "between": HARD,
    f"above {UNPREDICTABLE_GROWTH:g}, or a perturbed training diverged": UNPREDICTABLE,
}


def markdown(studies: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the classes.

    Args:
        studies: the measured studies, see `trainorder.evaluation.measured_studies`.

    """
    rows = [
        [limits, words, what_to_expect(words, studies) or "–"] for limits, words in CLASSES.items()
    ]
    return table(HEAD, rows)

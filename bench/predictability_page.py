"""The table of the classes of growth, with how measured studies of each class ended."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bench.page import NOT_MEASURED, number, table
from trainorder.evaluation.measured_studies import what_to_expect
from trainorder.evaluation.predictability import (
    HARD,
    PREDICTABLE,
    PREDICTABLE_GROWTH,
    UNPREDICTABLE,
    UNPREDICTABLE_GROWTH,
)

Study = Mapping[str, Any]

CHECKED_HEAD = ["study", "growth", "class", "how it ended", "order-LDS in the range of its class"]
HEAD = ["growth", "expectation", "how measured studies ended"]
BETTER, WORSE = "no, better", "no, worse"
CLASSES = {
    f"up to {PREDICTABLE_GROWTH:g}, the upper end of its interval included": PREDICTABLE,
    "between": HARD,
    f"above {UNPREDICTABLE_GROWTH:g}, or a perturbed training diverged": UNPREDICTABLE,
}


def markdown(studies: Sequence[Study]) -> str:
    """Return the table of the classes.

    Args:
        studies: the measured studies, see `trainorder.evaluation.measured_studies`.

    """
    rows = [
        [limits, words, what_to_expect(words, studies) or "–"] for limits, words in CLASSES.items()
    ]
    return table(HEAD, rows)


def checked(studies: Sequence[Study], others: Sequence[Study]) -> str:
    """Return the table of the studies that the rule was not made from.

    Args:
        studies: those that it was made from.
        others: further measured studies, of the same form.

    """
    if not others:
        return NOT_MEASURED
    rows = [
        [
            one["study"],
            number(one["growth"]),
            one["class"].partition(":")[0],
            f"{one['verdict']}, order-LDS {number(one['order_lds'])}",
            _within(one, studies),
        ]
        for one in others
    ]
    ended = Counter(row[-1] for row in rows)
    text = (
        f"The order-LDS of {ended['yes']} of {len(rows)} studies is in the range of their class, "
        f"that of {ended[BETTER]} is better and that of {ended[WORSE]} worse."
    )
    return f"{table(CHECKED_HEAD, rows)}\n\n{text}"


def _within(study: Study, studies: Sequence[Study]) -> str:
    """Return whether the order-LDS of a study is in the range of those of its class."""
    alike = [one for one in studies if one["class"] == study["class"]]
    ranks = [one["order_lds"] for one in alike if one["order_lds"] is not None]
    if not ranks or study["order_lds"] is None:
        return "–"
    if study["order_lds"] < min(ranks):
        return WORSE
    return "yes" if study["order_lds"] <= max(ranks) else BETTER

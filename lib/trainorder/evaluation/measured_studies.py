"""What to expect of estimates: what measured studies of the same predictability reached.

`make bench` writes `measured_studies.json`: growth, expectation and verdict of each study, with
the order-LDS of its selected estimator over held-back random orders.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainorder.storage.formats import read_json

FILE = Path(__file__).with_name("measured_studies.json")


def measured_studies() -> list[dict[str, Any]]:
    """Return `study`, `growth`, `expectation`, `verdict` and `order_lds` of each measured study."""
    studies: list[dict[str, Any]] = read_json(FILE)["studies"]
    return studies


def what_to_expect(expectation: str, studies: Sequence[Mapping[str, Any]]) -> str | None:
    """Return in one line how studies of the same expectation ended; None if there is none.

    Args:
        expectation: of `predictability.json`.
        studies: the measured studies.

    Examples:
        >>> shared = {"expectation": "hard", "verdict": "rank only"}
        >>> studies = [{**shared, "order_lds": 0.74}, {**shared, "order_lds": 0.9}]
        >>> what_to_expect("hard", studies)
        'verdicts of 2 measured studies like this: 2 rank only; order-LDS 0.74 to 0.90'

    """
    alike = [study for study in studies if study["expectation"] == expectation]
    if not alike:
        return None
    verdicts = Counter(study["verdict"] for study in alike)
    ended = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.most_common())
    ranks = [study["order_lds"] for study in alike if study["order_lds"] is not None]
    reached = f"; order-LDS {min(ranks):.2f} to {max(ranks):.2f}" if ranks else ""
    return f"verdicts of {len(alike)} measured studies like this: {ended}{reached}"

"""What to expect of estimates: how measured studies of the same class of growth ended.

`make bench` writes `measured_studies.json`: growth and its class of each study, with the verdict of
its selected estimator and the order-LDS of this estimator over held-back random orders.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainorder.evaluation.predictability import class_of
from trainorder.storage.formats import read_json

FILE = Path(__file__).with_name("measured_studies.json")


def measured_studies() -> list[dict[str, Any]]:
    """Return `study`, `growth`, `class`, `verdict` and `order_lds` of each measured study."""
    studies: list[dict[str, Any]] = read_json(FILE)["studies"]
    return studies


def what_to_expect(expectation: str, studies: Sequence[Mapping[str, Any]]) -> str | None:
    """Return in one line how studies of the same class ended; None if there is none.

    Args:
        expectation: of `predictability.json`; it begins with the class.
        studies: the measured studies.

    Examples:
        >>> shared = {"class": "hard", "verdict": "rank only"}
        >>> studies = [{**shared, "order_lds": 0.74}, {**shared, "order_lds": 0.9}]
        >>> what_to_expect("hard: changes may grow", studies)
        '2 measured studies like this: 2 rank only; order-LDS 0.74 to 0.90'

    """
    alike = [study for study in studies if study["class"] == class_of(expectation)]
    if not alike:
        return None
    verdicts = Counter(study["verdict"] for study in alike)
    ended = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.most_common())
    ranks = [study["order_lds"] for study in alike if study["order_lds"] is not None]
    ends = dict.fromkeys(f"{end(ranks):.2f}" for end in (min, max) if ranks)
    reached = f"; order-LDS {' to '.join(ends)}" if ends else ""
    noun = "study" if len(alike) == 1 else "studies"
    return f"{len(alike)} measured {noun} like this: {ended}{reached}"

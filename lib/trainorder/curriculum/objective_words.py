"""What a search lowered, in words, from the content of `curriculum.json`."""

from collections.abc import Mapping
from typing import Any

from trainorder.data.metrics import MAIN_METRIC


def objective_text(content: Mapping[str, Any]) -> str:
    """Return what the search lowers.

    >>> objective_text({"objective": {"heldout": 1.0}, "readouts": 1})
    'held-out loss'
    >>> objective_text({"objective": {"heldout": 1.0, "heldout/code": 0.5}, "readouts": 4})
    'objective (1 heldout + 0.5 heldout/code, mean of 4 steps)'
    """
    if is_final_loss(content):
        return "held-out loss"
    terms = " + ".join(f"{weight:g} {name}" for name, weight in content["objective"].items())
    where = "" if content["readouts"] == 1 else f", mean of {content['readouts']} steps"
    return f"objective ({terms}{where})"


def is_final_loss(content: Mapping[str, Any]) -> bool:
    """Return whether the search lowers the held-out loss at the end of the window."""
    return bool(content["objective"] == {MAIN_METRIC: 1.0} and content["readouts"] == 1)

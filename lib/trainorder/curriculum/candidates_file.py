"""Reads the file of the candidates: those of the global search, or those of the search by steps."""

from pathlib import Path
from typing import Any

from trainorder.storage.formats import read_json

SEARCHED, FIELD = "searched", "field"  # kinds of candidates; `field` are the heuristic orders
RULES = {"candidates.json": "propose", "searched.json": "step_search"}  # which write the files


def read_candidates(path: str | Path) -> dict[str, Any]:
    """Return the content of a file of candidates; `curriculum.candidates` describes a record.

    Raises:
        UserError: the file is missing or is not JSON; the message names the rule that writes it.

    """
    content: dict[str, Any] = read_json(path, RULES[Path(path).name])
    return content

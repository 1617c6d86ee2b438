"""The effect of a poisoned unit by its position, from a finished study.

python -m bench.poisoned results/poisoned     # docs/measured/poisoned.json, docs/positions.md
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.config_hash import config_text
from bench.page import number, table
from bench.section import Section, write_measured
from bench.studies import environment_text
from trainorder.data.metrics import MAIN_METRIC
from trainorder.errors import UserError
from trainorder.evaluation.results import Results

OUTPUT = Path("docs/measured/poisoned.json")
PAGE, MARK = Path("docs/positions.md"), "poisoned"
HEAD = (
    *("poisoned unit at step", "held-out loss, estimated", "retrained", "a clean unit, estimated"),
    *("loss on the unit, estimated", "retrained"),
)


def record_of(results: Results) -> dict[str, Any]:
    """Return the record of a study with a poisoned unit.

    Raises:
        UserError: the study has none.

    """
    content = results.memorization
    if content is None or results.poisoned is None:
        raise UserError(
            "the study has no maps of a poisoned unit; run it with window.poisoned: 1 and the "
            "section memorization"
        )
    provenance = results.validation["provenance"]
    return {
        "study": content["study"],
        "made": {key: provenance[key] for key in ("versions", "machine")},
        "config": provenance["config"],
        "estimator": content["estimator"],
        "verdict": content["verdict"],
        "spread": results.validation["spread"][MAIN_METRIC]["random"]["std"],
        "cells": list(results.poisoned),
    }


def markdown(record: Mapping[str, Any]) -> str:
    """Return the section of the study."""
    rows = [
        [
            str(cell["step"]),
            number(cell["heldout"]["estimated"]),
            number(cell["heldout"]["true"]),
            number(cell["heldout"]["clean"]),
            number(cell["own"]["estimated"]),
            number(cell["own"]["true"]),
        ]
        for cell in record["cells"]
    ]
    return "\n\n".join(
        [
            table(HEAD, rows),
            "Changes in nats per token, beyond those of another unit in the same place; "
            f"`{record['estimator']}` is {record['verdict']} there. The standard deviation of the "
            f"held-out loss over random orders is {number(record['spread'])}. "
            f"Study `{record['study']}`, {config_text(record['config'])}. "
            f"Measured on: {environment_text(record['made'])}.",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the section from the results of a finished study."""
    write_measured(
        Section(OUTPUT, PAGE, MARK, markdown),
        "Writes the effect of a poisoned unit.",
        lambda folders: record_of(Results.read(folders[0])),
        arguments,
    )


if __name__ == "__main__":
    main()

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
from trainorder import Order, Study
from trainorder.data.metrics import MAIN_METRIC
from trainorder.errors import UserError
from trainorder.memorization.moves import ABSENCE, INSERTION, moves
from trainorder.orders.order import FREE

OUTPUT = Path("docs/measured/poisoned.json")
PAGE, MARK = Path("docs/positions.md"), "poisoned"
HEAD = ["step of the poisoned unit", "retrained", "by `{accurate}`", "by `{maps}`"]


def record_of(study: Study) -> dict[str, Any]:
    """Return the record of a study with a poisoned unit.

    Raises:
        UserError: the study has none.

    """
    results = study.results
    content = results.memorization
    if content is None or results.poisoned is None:
        raise UserError(
            "the study has no maps of a poisoned unit; run it with window.poisoned: 1 and the "
            "section memorization"
        )
    provenance = results.validation["provenance"]
    accurate = results.validation["best_estimator"]
    return {
        "study": content["study"],
        "made": {key: provenance[key] for key in ("versions", "machine")},
        "config": provenance["config"],
        "estimator": content["estimator"],
        "verdict": content["verdict"],
        "accurate": {"estimator": accurate, "verdict": results.score(accurate)["verdict"]},
        "spread": results.validation["spread"][MAIN_METRIC]["random"]["std"],
        "cells": [
            {**cell, "accurate": replayed_effect(study, accurate, cell["unit"], cell["step"])}
            for cell in results.poisoned
        ],
    }


def replayed_effect(study: Study, estimator: str, unit: int, step: int) -> dict[str, float | None]:
    """Return the effect of a unit at a step beyond that of another unit there, by an estimator.

    Returns:
        The change of the `heldout` loss, from recalibrated estimates, and of the loss on the unit
        itself (`own`), in nats per token; None for an estimator without parameters.

    """
    reference = study.orders.reference.schedule
    ways = moves(reference, study.unit_domains)
    present, absent = study.estimates(
        [
            Order(way, FREE, "custom", ways[way](reference, unit, step))
            for way in (INSERTION, ABSENCE)
        ],
        estimator,
    )
    own = None
    if present.parameters is not None and absent.parameters is not None:
        loss = study.problem.unit_loss
        own = loss(present.parameters, unit) - loss(absent.parameters, unit)
    heldout = present.values[MAIN_METRIC].value - absent.values[MAIN_METRIC].value
    return {"heldout": heldout, "own": own}


def markdown(record: Mapping[str, Any]) -> str:
    """Return the section of the study."""
    maps, accurate = record["estimator"], record["accurate"]
    head = [title.format(accurate=accurate["estimator"], maps=maps) for title in HEAD]
    heldout, own = (_rows(record["cells"], quantity) for quantity in ("heldout", "own"))
    for row, cell in zip(heldout, record["cells"], strict=True):
        row.append(number(cell["heldout"]["clean"]))
    return "\n\n".join(
        [
            "The held-out loss:",
            table([*head, f"a clean unit, by `{maps}`"], heldout),
            "The loss on the poisoned unit:",
            table(head, own),
            "Changes in nats per token, beyond those of another unit in the same place. "
            f"`{maps}`, which gives the maps, is {record['verdict']} there; "
            f"`{accurate['estimator']}`, the most accurate estimator, is {accurate['verdict']}. "
            "The standard deviation of the held-out loss over random orders is "
            f"{number(record['spread'])}. "
            f"Study `{record['study']}`, {config_text(record['config'])}. "
            f"Measured on: {environment_text(record['made'])}.",
        ]
    )


def _rows(cells: Sequence[Mapping[str, Any]], quantity: str) -> list[list[str]]:
    """Return for each position of the unit the true and the estimated effects on a quantity."""
    return [
        [
            str(cell["step"]),
            number(cell[quantity]["true"]),
            number(cell["accurate"][quantity]),
            number(cell[quantity]["estimated"]),
        ]
        for cell in cells
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the section from the results of a finished study."""
    write_measured(
        Section(OUTPUT, PAGE, MARK, markdown),
        "Writes the effect of a poisoned unit.",
        lambda folders: record_of(Study.open(folders[0])),
        arguments,
    )


if __name__ == "__main__":
    main()

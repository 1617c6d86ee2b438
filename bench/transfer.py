"""Whether estimates from one known run transfer: to other seeds, windows, batches and schedules.

python -m bench.transfer  # docs/measured/transfer.{json,md}

Each study is the default one with one change, and with `corrected` as its only estimator, at
several sizes. Finished studies are cached in results/bench/, so the command can be interrupted.
`--only NAME` runs one study; the page then shows the studies that are finished.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.grid import Cell, finished, measured
from bench.studies import Study, say, seeded
from bench.transfer_page import markdown
from trainorder.errors import UserError
from trainorder.storage.formats import write_json, write_text

MEASURED = Path("docs/measured")
SIZES = (4, 10, 20)  # of 64 sequences
LARGE_BATCH = 256

Layer = dict[str, Any]


def cells() -> list[Cell]:
    """Return the studies, the default one first."""
    return [
        *(_cell(f"seed{seed}", f"default, seed {seed}", **seeded(seed)) for seed in range(3)),
        _cell("best-rate", "its best rate", optimizer={"learning_rate": 4.0e-3}),
        *(_cell(f"steps{steps}", f"T = {steps}", steps=steps) for steps in (64, 128, 256)),
        _cell("batch256", "256 sequences per step", sizes=(8, 16, 32), unit_size=LARGE_BATCH),
        _cell("constant", "constant rate, domain batches", {"schedule": "constant"}, mixed=0.0),
        _cell(
            "constant-mixed", "constant rate, mixed batches", {"schedule": "constant"}, mixed=1.0
        ),
        _cell("scratch", "from scratch", warmup=0),
    ]


def _cell(
    name: str,
    label: str,
    optimizer: Layer | None = None,
    *,
    steps: int = 32,
    unit_size: int = 64,
    mixed: float = 0.25,
    warmup: int = 600,
    sizes: Sequence[int] = SIZES,
    seeds: Layer | None = None,
) -> Cell:
    layer: Layer = {
        "optimizer": optimizer or {},
        "window": {
            "units": steps,
            "unit_size": unit_size,
            "mixed_fraction": mixed,
            "warmup_steps": warmup,
        },
        "orders": {"calibration": 24, "random": 32, "fit": 0, "block_sizes": []},
        "estimators": [
            {"method": "constant", "path": "reference"},
            *({"method": "corrected", "path": "reference", "size": size} for size in sizes),
        ],
        "curriculum": None,
        "memorization": None,
        "trajectories": 0,
        **({"seeds": seeds} if seeds else {}),
    }
    return Cell(Study(f"transfer-{name}", layer=layer), label)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the studies and write their page; an error is one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--cores", type=int, help="jobs at once (default: all cores)")
    parser.add_argument("--only", nargs="+", help="names of studies, for instance steps64")
    chosen = parser.parse_args(arguments)
    every = cells()
    wanted = [f"transfer-{name}" for name in chosen.only or []]
    run = [cell for cell in every if not wanted or cell.study.name in wanted]
    try:
        measured("transfer", run, chosen.cores)
        shown = finished("transfer", every)
    except UserError as error:
        sys.exit(f"error: {error}")
    labels = {cell["label"] for cell in shown}
    missing = [cell.label for cell in every if cell.label not in labels]
    record = {"cells": shown, "missing": missing}
    write_json(MEASURED / "transfer.json", record)
    write_text(MEASURED / "transfer.md", markdown(record))
    say(f"{MEASURED}/transfer.md")


if __name__ == "__main__":
    main()

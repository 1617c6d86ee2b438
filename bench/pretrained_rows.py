"""Order effects of a real pretrained model: SmolLM2-135M, all parameters and low-rank adapters.

python -m bench.pretrained_rows  # docs/measured/pretrained.{json,md}

The texts are message catalogues in three languages and technical English. The page shows each study
as soon as it is finished, and a study that was interrupted goes on where it was. `--only NAME` runs
single studies, and `--list` shows which ones are measured.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import corpora
from bench.answers import page as answers
from bench.grid import Cell
from bench.measured_grid import MEASURED, MeasuredGrid, parser, run_command
from bench.pretrained_page import markdown
from bench.studies import Study, seeded
from trainorder.storage.formats import write_text

NAME = "pretrained"
PRESETS = {"all parameters": "finetune", "LoRA": "finetune_lora"}  # they name the model
SHORT = {"all parameters": "full", "LoRA": "lora"}  # in the names of the studies
WINDOWS = (8, 16)
DOMAINS = {"catalogues": ("german", "portuguese", "russian"), "documentation": ("django",)}
SEED = 21  # no other study has it
MEMORY_GB = 8  # of vectors: enough for the residuals of eight units
TARGET = {"order_lds": 0.9, "relative_error": 0.5, "per_order_retrainings": 1 / 4}


def cells() -> list[Cell]:
    """Return the studies, those with the shorter window first."""
    return [_cell(trained, steps) for steps in WINDOWS for trained in PRESETS]


def _cell(trained: str, steps: int) -> Cell:
    layer: dict[str, Any] = {
        **seeded(SEED),
        "device": "cpu",
        "threads": 2,
        "corpus": {
            "source": "files",
            "files": [str(path) for path in _files()],
            "sequence_length": 64,
            "heldout_sequences": 8,
        },
        "optimizer": {"learning_rate": 1.0e-4, "schedule": "cosine"},
        "window": {"warmup_steps": 8, "units": steps, "unit_size": 8, "mixed_fraction": 0.0},
        "orders": {"calibration": 12, "random": 12, "fit": 0, "block_sizes": []},
        "estimators": [
            {"method": "constant", "path": "reference"},
            {"method": "corrected", "path": "reference", "orders": {"structured": 0}},
        ],
        "ladder": {"per_order": TARGET["per_order_retrainings"]},
        "curriculum": None,
        "memorization": None,
        "trajectories": 0,
        "memory_gb": MEMORY_GB,
        "shards": {"truth": 1},
    }
    return Cell(
        Study(f"{NAME}-{SHORT[trained]}-steps{steps}", PRESETS[trained], layer),
        f"{trained}, T = {steps}",
        {"group": trained, "steps": steps},
        cores=2,  # with as many threads: one job at once
        target=TARGET,
        prepare=_write_texts,
    )


def _files() -> list[Path]:
    return [
        path
        for corpus, domains in DOMAINS.items()
        for path in corpora.files(corpus)
        if path.stem in domains
    ]


def _write_texts() -> None:
    for corpus in DOMAINS:
        corpora.write(corpus)


def grid() -> MeasuredGrid:
    """Return the studies with their page."""
    return MeasuredGrid(NAME, cells(), write_page)


def write_page(record: Mapping[str, Any]) -> None:
    """Write the page of the measured studies."""
    write_text(MEASURED / f"{NAME}.md", markdown(record))
    answers.write()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the studies and write their page; an error is one line."""
    options = parser("Measures order effects of a real pretrained model.")
    run_command(grid, options.parse_args(arguments))


if __name__ == "__main__":
    main()

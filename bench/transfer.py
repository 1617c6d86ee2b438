"""Whether estimates from one known run transfer: to other seeds, texts, windows and schedules.

python -m bench.transfer  # docs/measured/transfer.{json,md}, and the figures of that page

Each study is the default one with one change, or another corpus, with `corrected` as its only
estimator. The ladder selects its size, up to the cost per order of the study's target. The page
shows each study as soon as it is finished, so the command can be interrupted. `--only NAME` runs
single studies, and `--list` shows which ones are measured.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench import corpora
from bench.drawing import save_svg
from bench.grid import Cell
from bench.measured_grid import MEASURED, MeasuredGrid, parser, run_command
from bench.studies import Study, seeded
from bench.targets import selected
from bench.transfer_figures import draw_growth, draw_ladder
from bench.transfer_page import OTHER_CORPORA, markdown
from trainorder.evaluation.predictability import (
    PREDICTABLE_GROWTH,
    UNPREDICTABLE_GROWTH,
    expectation,
)
from trainorder.evaluation.verdict import RANK_ONLY, TRUSTED
from trainorder.numerics.resampling import Interval
from trainorder.storage.formats import write_json, write_text

FIGURES = Path("docs/figures")
RULE = Path("lib/trainorder/evaluation/measured_studies.json")  # what a new study is told
AVERAGED_STATES = 16  # of the rows with a constant rate: half the window
RUNS = 8  # calibration orders that are known runs
FIRST_OTHER_SEED = 11  # of the other corpora

Layer = dict[str, Any]


def cells() -> list[Cell]:
    """Return the studies, the default one first."""
    return [*_near_default(), *_other_corpora(), *_windows_and_batches(), *_schedules()]


def _near_default() -> list[Cell]:
    default = {
        "order_lds": 0.95,
        "relative_error": 0.3,
        "per_order_retrainings": 1 / 6,
        "precompute_retrainings": 2,
        "verdicts": [TRUSTED],
    }
    wider = {"order_lds": 0.95, "per_order_retrainings": 1 / 8}
    group = "seeds, rate and width"
    return [
        *(
            _cell(f"seed{seed}", f"default, seed {seed}", group, default, seeds=seeded(seed))
            for seed in range(3)
        ),
        _cell("best-rate", "default, its best rate", group, optimizer={"learning_rate": 4.0e-3}),
        _cell("wider", "wider, its best rate", group, wider, preset="wider"),
    ]


def _other_corpora() -> list[Cell]:
    """Return the studies of other corpora: pure domains, and seeds that no other study has."""
    target = {
        "order_lds": 0.9,
        "per_order_retrainings": 1 / 4,
        "precompute_retrainings": 2,
        "verdicts": [TRUSTED, RANK_ONLY],
    }
    return [
        _cell(
            *(name, f"corpus {name}", OTHER_CORPORA, target),
            steps=48,
            mixed=0.0,
            seeds=seeded(FIRST_OTHER_SEED + index),
            corpus=name,
        )
        for index, name in enumerate(corpora.CORPORA)
    ]


def _windows_and_batches() -> list[Cell]:
    window = {
        "order_lds": 0.9,
        "relative_error": 0.6,
        "per_order_retrainings": 1 / 4,
        "precompute_retrainings": 2,
    }
    batch = {"order_lds": 0.93, "precompute_retrainings": 8}
    group = "larger batches"
    return [
        *(
            _cell(f"steps{steps}", f"T = {steps}", "longer windows", window, steps=steps)
            for steps in (64, 128, 256)
        ),
        # The packages have text for these warm-ups and not for longer ones.
        _cell(
            *("batch256", "256 sequences per step", group),
            {**batch, "per_order_retrainings": 1 / 8},
            unit_size=256,
            warmup=400,
        ),
        _cell(
            *("batch1024", "1,024 sequences per step, T = 16", group),
            {**batch, "per_order_retrainings": 1 / 32},
            steps=16,
            unit_size=1024,
            warmup=100,
            orders={"calibration": 16, "random": 16},
        ),
    ]


def _schedules() -> list[Cell]:
    domains = {"order_lds": 0.85, "relative_error": 0.6, "per_order_retrainings": 1 / 3}
    group, constant = "schedule and start", {"schedule": "constant"}
    return [
        _cell(
            *("constant", "constant rate, domain batches", group, domains),
            optimizer=constant,
            mixed=0.0,
            averaged_states=AVERAGED_STATES,
        ),
        _cell(
            *("constant-mixed", "constant rate, mixed batches", group),
            {"trusted_below_growth": PREDICTABLE_GROWTH},
            optimizer=constant,
            mixed=1.0,
            averaged_states=AVERAGED_STATES,
        ),
        _cell(
            *("scratch", "from scratch", group),
            {"growth": UNPREDICTABLE_GROWTH, "largest_error": 1.05},
            warmup=0,
        ),
    ]


def _cell(
    name: str,
    label: str,
    group: str,
    target: Layer | None = None,
    *,
    preset: str = "",
    optimizer: Layer | None = None,
    steps: int = 32,
    unit_size: int = 64,
    mixed: float = 0.25,
    warmup: int = 600,
    orders: Layer | None = None,
    averaged_states: int | None = None,
    seeds: Layer | None = None,
    corpus: str = "",
) -> Cell:
    limit = (target or {}).get("per_order_retrainings")
    layer: Layer = {
        "optimizer": optimizer or {},
        "window": {
            "units": steps,
            "unit_size": unit_size,
            "mixed_fraction": mixed,
            "warmup_steps": warmup,
        },
        "orders": {
            **{"calibration": 24, "random": 32, "fit": 0, "block_sizes": []},
            **(orders or {}),
        },
        "estimators": [
            {"method": "constant", "path": "reference"},
            {"method": "corrected", "path": "reference", "runs": RUNS},
        ],
        **({"ladder": {"per_order": limit}} if limit else {}),
        "curriculum": None,
        "memorization": None,
        "averaged_states": averaged_states,
        "trajectories": 0,
        **(seeds or {}),
    }
    prepare = None
    if corpus:
        files = [str(path) for path in corpora.files(corpus)]
        layer["corpus"] = {"source": "files", "files": files}
        prepare = partial(corpora.write, corpus)
    study = Study(f"transfer-{name}", preset, layer)
    return Cell(study, label, {"group": group}, target=target or {}, prepare=prepare)


def grid() -> MeasuredGrid:
    """Return the studies with their page."""
    return MeasuredGrid("transfer", cells(), write_page)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the studies and write their page; an error is one line."""
    options = parser("Measures whether estimates from one known run transfer.")
    run_command(grid, options.parse_args(arguments))


def write_page(record: Mapping[str, Any]) -> None:
    """Write the page and the figures of the measured studies."""
    write_text(MEASURED / "transfer.md", markdown(record))
    save_svg(lambda: draw_growth(record), FIGURES / "transfer.svg")
    save_svg(lambda: draw_ladder(record), FIGURES / "cost_accuracy_ladder.svg")
    write_json(RULE, {"studies": [_reached(cell) for cell in record["cells"] if selected(cell)]})


def _reached(cell: Layer) -> Layer:
    """Return what a further study of the same predictability can expect."""
    chosen = selected(cell)
    assert chosen is not None
    growth = Interval(**cell["growth"])
    return {
        "study": cell["label"],
        "growth": growth.value,
        "expectation": expectation(growth, diverged=growth.value is None),
        "verdict": chosen[1]["verdict"],
        "order_lds": chosen[1]["order_lds"]["value"],
    }


if __name__ == "__main__":
    main()

"""The two applications: searched orders and maps of positions, in several trainings.

python -m bench.applications  # docs/measured/applications.{json,md}, and the figures of the page

The trainings are those of `presets/full.yaml` and its replicates: searches under cosine, constant
and warmup-stable-decay schedules with three seeds each, under a cosine by both methods. The page
shows each training as soon as it is finished. `--only NAME` runs single ones, and `--list` shows
which ones are measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import applications_page as page
from bench.answers import page as answers
from bench.drawing import DRAWN, copy_figures, save_png
from bench.grid import Cell
from bench.measured_grid import MEASURED, MeasuredGrid, parser, run_command
from bench.page import replace_marked
from bench.search_progress import draw as draw_progress
from bench.studies import FIXED_PROBING, Study, run
from trainorder.config.loading import load_config
from trainorder.evaluation.results import Results
from trainorder.figures.replicates import draw_groups
from trainorder.storage.formats import write_text
from trainorder.workflow.replicate_config import replicate

WIDTH = 8.0  # inches, of the figure of gains
PAGE, PRESET = "applications", "full"
DOCS = Path("docs")
# As when the trainings were measured, the published method without a guard runs on a few orders.
UNGUARDED = {"method": "fut", "path": "reference", "guard": None}
FEW = {"orders": {"calibration": 0, "random": 8, "structured": 2}}
NEEDED = ("validation.json", "curriculum.json", "memorization.json")  # of a replicate

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Training(Cell):
    """A training with its own search for an order and its own maps.

    Attributes:
        draws: whether figures of the study are on the page.

    """

    draws: bool = False

    def measure(self, cores: int | None) -> dict[str, Any]:
        """Run the study and return its record; its figures are copied, its results are removed.

        Raises:
            UserError: the study failed.

        """
        run(self.study, cores, [*NEEDED, *(["figures"] if self.draws else [])])
        record = study_record(self.study.read())
        if self.draws:
            copy_figures(self.study.results, page.STUDY_FIGURES, PRESET)
        self.study.remove()
        return self.as_row(record)


def cells() -> list[Cell]:
    """Return the trainings; the first one is that of the preset, which the others replicate.

    Raises:
        UserError: a configuration is not readable.

    """
    full = load_config("config.yaml", f"presets/{PRESET}.yaml")
    full["curvature"] |= FIXED_PROBING
    full["estimators"] = [
        {**entry, **(FEW if entry == UNGUARDED else {})} for entry in full["estimators"]
    ]
    seed = {"seed": full["seeds"]["init"]}
    base = Study(
        f"{PAGE}-{_name(replicate(full, seed))}",
        PRESET,
        {
            "curriculum": {"replicates": []},
            "curvature": FIXED_PROBING,
            "estimators": full["estimators"],
        },
    )
    others = (replicate(full, entry) for entry in full["curriculum"]["replicates"])
    return [
        Training(base, _label(base.config()), draws=True),
        *(
            Training(Study(f"{PAGE}-{_name(config)}", layer=config), _label(config))
            for config in others
        ),
    ]


def _name(config: Mapping[str, Any]) -> str:
    return str(config["study"].removeprefix(f"{PRESET}-"))


def _label(config: Mapping[str, Any]) -> str:
    schedule, method = config["optimizer"]["schedule"], config["curriculum"]["method"]
    return f"{schedule}, seed {config['seeds']['init']}, search: {method}"


def study_record(results: Results) -> dict[str, Any]:
    """Return the numbers of a training that the page shows, from the result files of its study."""
    validation, stages = results.validation, results.costs["stages"].values()
    assert results.curriculum is not None
    assert results.memorization is not None
    maps = results.memorization
    return {
        "verdict": validation["verdict"],
        "spread": validation["spread"]["heldout"]["random"],
        "growth": validation["predictability"]["growth"],
        "confidence": validation["provenance"]["config"]["validation"]["confidence"],
        "retraining_seconds": results.costs["retraining_seconds"],
        "job_seconds": sum(stage["wall_seconds"] for stage in stages),
        "curriculum": {k: v for k, v in results.curriculum.items() if k != "provenance"},
        "memorization": {
            "agreement": maps["agreement"],
            "retrained": maps["retrained"],
            "forgetting": {
                name: {"units": curve["units"], "half_life": curve["half_life"]}
                for name, curve in maps["forgetting"].items()
            },
        },
        "made": {key: validation["provenance"][key] for key in ("versions", "machine")},
        "config": validation["provenance"]["config"],
    }


def grid() -> MeasuredGrid:
    """Return the trainings with their page.

    Raises:
        UserError: the configuration is not readable.

    """
    return MeasuredGrid(PAGE, cells(), write_page)


def write_page(record: Record) -> None:
    """Write the page of the measured trainings, its figure of gains, and what other pages quote."""
    write_text(MEASURED / f"{PAGE}.md", page.markdown(record))
    trainings = page.groups(record)
    save_png(lambda: draw_groups(trainings, page.NOTE, WIDTH), DRAWN / "full-replicates.png")
    if searches := page.progress_by_group(record):
        save_png(lambda: draw_progress(searches, page.PROGRESS), DRAWN / "full-search_progress.png")
    quoted = "\n\n".join([page.gains(record), *page.fresh(record)])
    replace_marked(DOCS / "order_search.md", "gains", quoted)
    replace_marked(DOCS / "positions.md", "agreement", page.agreement(record))
    answers.write()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the trainings and write their page; an error is one line."""
    options = parser("Measures the search for orders and maps of positions in several trainings.")
    run_command(grid, options.parse_args(arguments))


if __name__ == "__main__":
    main()

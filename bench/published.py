"""The experiments of the published study in small: its method and ours, by length of the window.

python -m bench.published               # docs/measured/published.{json,md}, and docs/published.md
python -m bench.published --only T8     # a single window
python -m bench.published --list        # the windows, and which of them are measured

The study of 32 steps is `presets/published_small.yaml`, with a search for orders, maps of positions
and a multiple-choice task. The studies of other windows only compare estimators.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.answers import page as answers
from bench.drawing import copy_figures
from bench.grid import Cell
from bench.measured_grid import MEASURED, MeasuredGrid, parser, run_command
from bench.published_page import FIGURES, markdown
from bench.published_record import study_record
from bench.studies import FIXED_PROBING, Study, run
from trainorder.storage.formats import write_text

PAGE, PRESET = "published", "published_small"
APPLICATIONS = 32  # steps of the window with a search and with maps
# Of every window, in steps: what differs from the preset. Longer windows have fewer orders, and a
# table at 32 of their steps, because the whole one of the longest takes 128 retrainings and 9 GB.
WINDOWS: dict[int, dict[str, Any]] = {
    8: {"orders": {"random": 16}},
    16: {"orders": {"random": 16}},
    APPLICATIONS: {"curvature": FIXED_PROBING},
    64: {"orders": {"calibration": 12, "random": 12}, "expansion": {"anchors": 32}},
    128: {
        "orders": {"calibration": 12, "random": 12},
        "expansion": {"anchors": 32},
        "trajectories": 2,
    },
}
ESTIMATORS = [  # of the windows without applications
    {"method": "constant", "path": "reference"},
    {"method": "fut", "path": "reference", "guard": 1.0},
    {"method": "fut++", "path": "reference", "guard": 1.0},
    {"method": "corrected", "path": "reference", "runs": 8},
]

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Window(Cell):
    """A study of one length of the window."""

    def measure(self, cores: int | None) -> dict[str, Any]:
        """Run the study and return its record; its figures are copied, its results are removed.

        Raises:
            UserError: the study failed.

        """
        study, applies = self.study, self.study.config()["curriculum"] is not None
        run(study, cores, ["figures"] if applies else ["validation.json"])
        record = study_record(study.results)
        if applies:
            copy_figures(study.results, FIGURES, PAGE)
        study.remove()
        return self.as_row(record)


def cells() -> list[Cell]:
    """Return the studies, the shortest window first."""
    return [_window(steps, layer) for steps, layer in WINDOWS.items()]


def _window(steps: int, changes: Mapping[str, Any]) -> Cell:
    layer: dict[str, Any] = {"window": {"units": steps}, **changes}
    if steps != APPLICATIONS:
        layer |= dict.fromkeys(("curriculum", "memorization", "multiple_choice"))
        layer["estimators"] = ESTIMATORS
    return Window(Study(f"{PAGE}-T{steps}", PRESET, layer), f"T = {steps}", {"T": steps})


def grid() -> MeasuredGrid:
    """Return the studies with their page.

    Raises:
        UserError: the configuration is not readable.

    """
    return MeasuredGrid(PAGE, cells(), write_page)


def write_page(record: Record) -> None:
    """Write the page of the measured windows, and what `docs/published.md` says of them."""
    write_text(MEASURED / f"{PAGE}.md", markdown(record))
    answers.write()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the studies and write their page; an error is one line."""
    options = parser("Measures the experiments of the published study in small.")
    run_command(grid, options.parse_args(arguments))


if __name__ == "__main__":
    main()

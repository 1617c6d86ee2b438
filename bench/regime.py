"""Where estimates hold: small variants of the default study, and an ablation of the path.

python -m bench.regime             # docs/measured/regime.{json,md}, its figures in docs/figures
python -m bench.regime --ablation  # docs/measured/ablation.{json,md}, docs/figures/ablation.png

The regime grid varies learning rate, schedule, window, units per step and warm-up one at a time,
and two at a time in the hardest cases. The ablation varies the expansion path and the number of its
anchors over three windows. Both use the default study with units of a quarter of the size and few
orders. Each cell is written into its page when it is finished.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.drawing import save_png, save_svg
from bench.grid import Cell
from bench.grid_page import draw, has_growth, markdown
from bench.measured_grid import MEASURED, MeasuredGrid, parser, run_command
from bench.studies import Study
from bench.transfer_figures import draw_growth
from trainorder.config.loading import load_config
from trainorder.storage.formats import write_text

FIGURES = Path("docs/figures")
STEPS, UNIT_SIZE = 32, 16
# Four times the default: probing costs the same as with units of 64, a retraining a quarter.
PRECOMPUTE = 64
# Where estimates often fail, more orders tell an error of 1 from a larger one. Longer windows and
# more units per step would take hours.
FEW, MANY = {"calibration": 16, "random": 16}, {"calibration": 40, "random": 48}
RUNS = 8  # known runs of `corrected` besides the reference
BOTH = ("reference", "barycentre")

Layer = dict[str, Any]


def small(estimators: Sequence[Layer], steps: int = STEPS, units_per_step: int = 1) -> Layer:
    """Return the configuration layer of a small study of `steps` steps of equal size."""
    return {
        "window": {
            "units": steps * units_per_step,
            "unit_size": UNIT_SIZE // units_per_step,
            "units_per_step": units_per_step,
        },
        "expansion": {"pool": UNIT_SIZE},
        "curvature": {
            "pool": UNIT_SIZE,
            "anchors": 1,
            "unit_sequences": UNIT_SIZE // units_per_step // 4,
        },
        "ladder": {"precompute": PRECOMPUTE},
        "orders": {**FEW, "fit": 0, "block_sizes": []},
        "estimators": list(estimators),
        "curriculum": None,
        "memorization": None,
        "trajectories": 0,
        "shards": {"table": 1, "truth": 2, "curvature": 1, "estimate": 1},
    }


def regime_cells() -> list[Cell]:
    """Return the cells of the regime grid, the plain one first.

    Raises:
        UserError: the default configuration is not readable.

    """
    rate = load_config("config.yaml")["optimizer"]["learning_rate"]
    slow, constant = {"learning_rate": rate / 4}, {"schedule": "constant"}
    return [
        _regime("plain"),
        _regime("rate-quarter", slow),
        _regime("constant", constant),
        _regime("steps16", steps=16),
        _regime("steps64", steps=64),
        _regime("four-units", units_per_step=4),
        _regime("scratch", warm=False),
        _regime("scratch-constant", constant, warm=False),
        _regime("constant-steps64", constant, steps=64),
        _regime("constant-four-units", constant, units_per_step=4),
    ]


def _regime(
    name: str,
    optimizer: Layer | None = None,
    steps: int = STEPS,
    units_per_step: int = 1,
    warm: bool = True,
) -> Cell:
    optimizer = optimizer or {}
    hard = ("schedule" in optimizer or not warm) and (steps, units_per_step) == (STEPS, 1)
    few = {split: count if hard else count // 2 for split, count in FEW.items()}
    estimators: list[Layer] = [
        {"method": "constant", "path": "reference"},
        {"method": "corrected", "path": "reference", "runs": RUNS},
        {"method": "nystrom", "path": "barycentre"},
        {"method": "reduced", "path": "barycentre"},
        {"method": "taylor1", "path": "barycentre", "orders": {**few, "structured": 0}},
    ]
    layer = {**small(estimators, steps, units_per_step), "optimizer": optimizer}
    layer["window"] |= {} if warm else {"warmup_steps": 0}
    layer["orders"] |= MANY if hard else {}
    values = {
        "rate": "x 1/4" if "learning_rate" in optimizer else "x 1",
        "schedule": optimizer.get("schedule", "as configured"),
        "T": steps,
        "units per step": units_per_step,
        "start": "warm" if warm else "scratch",
    }
    changes = {
        "a quarter of the rate": "learning_rate" in optimizer,
        "constant rate": "schedule" in optimizer,
        f"T = {steps}": steps != STEPS,
        f"{units_per_step} units per step": units_per_step != 1,
        "from scratch": not warm,
    }
    label = ", ".join(change for change, made in changes.items() if made) or "plain"
    return Cell(Study(f"regime-{name}", layer=layer), label, values)


def ablation_cells() -> list[Cell]:
    """Return the cells of the ablation: anchors by window, each with both paths."""
    return [_ablation(steps, k) for steps in (16, 32, 64) for k in (3, 5, "all")]


def _ablation(steps: int, anchors: int | str) -> Cell:
    estimators = [{"method": "nystrom", "path": path} for path in BOTH]
    layer = small(estimators, steps)
    layer["expansion"]["anchors"] = anchors
    whole = steps == 64 and anchors == "all"  # its two large tables must not be in memory at once
    return Cell(
        Study(f"ablation-steps{steps}-anchors-{anchors}", layer=layer),
        f"T = {steps}, K = {anchors}",
        {"T": steps, "K": anchors},
        cores=1 if whole else 0,
    )


GRIDS = {"regime": regime_cells, "ablation": ablation_cells}


def grid(name: str) -> MeasuredGrid:
    """Return a grid with its page."""
    return MeasuredGrid(name, GRIDS[name](), write_page)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a grid and write its files; an error is one line."""
    options = parser("Measures where estimates hold.")
    options.add_argument("--ablation", action="store_true", help="paths and anchors instead")
    chosen = options.parse_args(arguments)
    name = "ablation" if chosen.ablation else "regime"
    run_command(lambda: grid(name), chosen)


def write_page(record: Mapping[str, Any]) -> None:
    """Write the page and the figures of the measured cells."""
    name = record["grid"]
    write_text(MEASURED / f"{name}.md", markdown(record))
    save_png(lambda: draw(record), FIGURES / f"{name}.png")
    if has_growth(record):
        save_svg(lambda: draw_growth(record), FIGURES / "growth.svg")


if __name__ == "__main__":
    main()

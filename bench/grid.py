"""A grid of small studies: each one is run and summarized, and its results are removed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.studies import FOLDER, Study, environment, run, say
from trainorder.errors import DivergedError
from trainorder.evaluation.results import Results
from trainorder.storage.formats import read_json, write_json

AVERAGED = "averaged_heldout"  # the metric of averaged weights
SCRIPTS = (
    *("corpus", "warm", "orders", "predictability", "reference", "table", "residuals"),
    *("clusters", "barycentre", "curvature", "reduced", "manifest", "truth", "ladder"),
    *("estimate", "predict", "validate"),
)


@dataclass(frozen=True)
class Cell:
    """One study of a grid.

    Attributes:
        study: the study.
        label: a short description.
        values: its place in the grid, by axis.
        cores: limit of jobs at once, for a cell that needs much memory; 0 for no limit.
        target: what the study must reach, see `bench.targets`; empty for no target.
        prepare: writes the files that the study reads, if it reads any.

    """

    study: Study
    label: str
    values: Mapping[str, Any] = field(default_factory=dict)
    cores: int = 0
    target: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None


def finished(grid: str, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return the records of the cells that were measured with their present configuration."""
    return [_record(grid, cell) for cell in cells if _is_measured(grid, cell)]


def measured(grid: str, cells: Sequence[Cell], cores: int | None) -> list[dict[str, Any]]:
    """Return the record of each cell, measured now or cached.

    A cell is measured again when its configuration or code has changed.

    Raises:
        UserError: a study failed, but not because training diverged.

    """
    for number, cell in enumerate(cells, start=1):
        if not _is_measured(grid, cell):
            say(f"{number} of {len(cells)}: {cell.label}")
            limit = min(cores, cell.cores) if cores and cell.cores else cores or cell.cores or None
            if cell.prepare:
                cell.prepare()
            record = {"key": cell.study.key(SCRIPTS), "cell": _measure(cell.study, limit)}
            write_json(_kept(grid, cell), record)
    return [_record(grid, cell) for cell in cells]


def _kept(grid: str, cell: Cell) -> Path:
    return FOLDER / grid / f"{cell.study.name}.json"


def _is_measured(grid: str, cell: Cell) -> bool:
    kept = _kept(grid, cell)
    return kept.is_file() and read_json(kept)["key"] == cell.study.key(SCRIPTS)


def _record(grid: str, cell: Cell) -> dict[str, Any]:
    record = read_json(_kept(grid, cell))["cell"]
    target = {"target": dict(cell.target)} if cell.target else {}
    return {"label": cell.label, "values": dict(cell.values), **target, **record}


def _measure(study: Study, cores: int | None) -> dict[str, Any]:
    try:
        run(study, cores, ["validation.json"])
        return summary(study.read())
    except DivergedError as error:
        return {"diverged": str(error), "made": environment(), "config": study.config()}
    finally:
        study.remove()


def summary(results: Results) -> dict[str, Any]:
    """Return the numbers of a study that the grid shows, with its versions and configuration."""
    validation = results.validation
    spread = validation["spread"]["heldout"]["random"]
    averaged = validation["spread"].get(AVERAGED)
    return {
        "verdict": validation["verdict"],
        "best_estimator": validation["best_estimator"],
        "parameters": validation["parameters"],
        "steps": results.steps,
        "spread": spread["std"],
        **({"averaged_spread": averaged["random"]["std"]} if averaged else {}),
        "growth": validation["predictability"]["growth"],
        "mean": spread["mean"],
        "retraining_seconds": results.costs["retraining_seconds"],
        "ladder": results.ladder,
        "estimators": {name: _entry(results.score(name)) for name in results.estimators},
        "made": {key: validation["provenance"][key] for key in ("versions", "machine")},
        "config": validation["provenance"]["config"],
    }


def _entry(score: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of an estimator; `averaged` are those of averaged weights, if any."""
    cost, kept = score["cost"], ("order_lds", "relative_error", "coverage")
    averaged = {name: score[name][AVERAGED]["random"] for name in kept if AVERAGED in score[name]}
    return {
        "order_lds": score["order_lds"]["heldout"]["random"],
        "calibration_order_lds": score["order_lds"]["heldout"]["calibration"],
        "relative_error": score["relative_error"]["heldout"]["random"],
        "raw_relative_error": score["raw_relative_error"]["heldout"]["random"],
        "parameter_error": score["parameter_error"]["random"],
        "coverage": score["coverage"]["heldout"]["random"],
        **({"averaged": averaged} if averaged else {}),
        "diverged": score["diverged"]["count"],
        "verdict": score["verdict"],
        "precompute_retrainings": cost["precompute_retrainings"],
        "selection_retrainings": cost["selection_retrainings"],
        "per_order_retrainings": cost["per_order_retrainings"],
        "bytes": cost["bytes"],
    }

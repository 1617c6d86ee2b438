"""One study of a grid: it is run and summarized, then its results are removed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.rank_gains import rank_gains
from bench.stack import stacks_of
from bench.studies import Study, environment, run
from trainorder.errors import DivergedError
from trainorder.evaluation.results import Results

AVERAGED = "averaged_heldout"  # the metric of averaged weights
_OF_THE_CELL = ("label", "values", "target")  # what a record has from its cell


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

    @property
    def name(self) -> str:
        """The name of the study without that of its grid."""
        return self.study.name.partition("-")[2]

    def measure(self, cores: int | None) -> dict[str, Any]:
        """Run the study and return its record; its results are removed.

        Args:
            cores: number of jobs at once; None for all cores.

        Raises:
            UserError: the study failed, but not because training diverged.

        """
        if self.prepare:
            self.prepare()
        limit = min(cores, self.cores) if cores and self.cores else cores or self.cores or None
        return self.as_row(_measure(self.study, limit))

    def as_row(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return a record with the present label, place and target of this cell."""
        target = {"target": dict(self.target)} if self.target else {}
        numbers = {key: value for key, value in record.items() if key not in _OF_THE_CELL}
        return {"label": self.label, "values": dict(self.values), **target, **numbers}


def _measure(study: Study, cores: int | None) -> dict[str, Any]:
    """Return the record of a study; after a failure its results stay, and the next run goes on."""
    try:
        run(study, cores, ["validation.json"])
        # Its own configuration has what the workflow adds, such as the tokenizer of a package.
        record = {**summary(study.read()), "config": study.config()}
    except DivergedError as error:
        record = {"diverged": str(error), "made": environment(), "config": study.config()}
    study.remove()
    return record


def summary(results: Results) -> dict[str, Any]:
    """Return the numbers of a study that the grid shows, with its versions and configuration."""
    validation = results.validation
    spread = validation["spread"]["heldout"]["random"]
    averaged = validation["spread"].get(AVERAGED)
    stages = results.costs["stages"].values()
    stacks = stacks_of(results, ["heldout"])
    gains = rank_gains(results)
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
        "job_seconds": sum(stage["wall_seconds"] for stage in stages),
        "peak_bytes": max(stage["peak_bytes"] for stage in stages),
        "ladder": results.ladder,
        "estimators": {name: _entry(results.score(name)) for name in results.estimators},
        **({"stacks": stacks} if stacks else {}),
        **({"rank_gains": gains} if gains else {}),
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
        "total_retrainings": cost["total_retrainings"],
        "seconds_per_order": cost["seconds_per_order"],
        "bytes": cost["bytes"],
    }

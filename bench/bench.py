"""The benchmark: the default study with three seeds, three other studies, and their numbers.

python -m bench.bench              # runs missing studies, measures, collects
python -m bench.bench --collect    # only collects, from existing results

Writes results/bench/bench.json and results/bench/table.md. After an interruption, run it again:
it skips complete studies. Speed is measured each time, in one process.
"""

import argparse
import io
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from typing import Any

from bench.estimators import overview
from bench.page import page
from bench.performance import measure
from bench.rows import all_rows
from bench.studies import FOLDER, Study, environment, run, say, seeded
from trainorder.config.loading import load_config
from trainorder.errors import UserError
from trainorder.evaluation.results import Results
from trainorder.storage.formats import read_json, write_json, write_text

# Exact expansions are expensive: the default study runs them on few orders, the benchmark on more.
YARDSTICK_ORDERS = {
    ("taylor1", "barycentre"): {"calibration": 8, "structured": 0},
    ("taylor1", "reference"): {"calibration": 0, "random": 3, "structured": 0},
    ("taylor2", "barycentre"): {"calibration": 0, "random": 3, "structured": 0},
}
# The methods of the rows. Only the default study has all estimators and baselines.
ROW_METHODS = ("constant", "taylor1", "nystrom", "subsample", "reduced")
ESTIMATORS = [
    {**entry, "orders": orders}
    if (orders := YARDSTICK_ORDERS.get((entry["method"], entry.get("path"))))
    else entry
    for entry in load_config("config.yaml")["estimators"]
]
ROW_ESTIMATORS = [
    entry
    for entry in ESTIMATORS
    if entry["method"] in ROW_METHODS
    and (entry["method"], entry["path"]) != ("taylor1", "reference")
]
NO_APPLICATIONS = {"curriculum": None, "memorization": None}
SEEDS = {"default": Study("default", layer={"estimators": ESTIMATORS})} | {
    f"default-seed{seed}": Study(
        f"default-seed{seed}",
        layer={**seeded(seed), "estimators": ROW_ESTIMATORS, **NO_APPLICATIONS},
    )
    for seed in (1, 2)
}
LONGER = "steps64"
BESIDE = {name: Study(name, name) for name in (LONGER, "sample_order", "wider")}
PERFORMANCE, BENCH, TABLE = (
    FOLDER / name for name in ("performance.json", "bench.json", "table.md")
)


def collect(performance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of `bench.json`, from the result files of the studies.

    Raises:
        UserError: a study is missing or not complete.

    """
    seeds = {name: study.read() for name, study in SEEDS.items()}
    beside = {name: study.read() for name, study in BESIDE.items()}
    per_second = performance["measured"]["reduced"]["schedules_per_second"]
    rows = all_rows(seeds, beside, LONGER, per_second)
    return {
        "made": environment(),
        "studies": {name: _study(results) for name, results in {**seeds, **beside}.items()},
        "rows": [row.as_dict() for row in rows],
        "estimators": overview(seeds),
        "beside": {name: overview({name: results}) for name, results in beside.items()},
        "performance": dict(performance),
    }


def _study(results: Results) -> dict[str, Any]:
    """Return the seeds, size, versions, machine, truth and peak memory of a study."""
    validation, stages = results.validation, results.costs["stages"]
    heaviest = max(stages, key=lambda stage: stages[stage]["peak_bytes"])
    spread = {metric: by["random"] for metric, by in validation["spread"].items()}
    return {
        **{
            key: validation["provenance"][key] for key in ("seeds", "versions", "machine", "config")
        },
        "parameters": validation["parameters"],
        "steps": results.steps,
        "orders": validation["orders"],
        "verdict": validation["verdict"],
        "best_estimator": validation["best_estimator"],
        "retraining_seconds": results.costs["retraining_seconds"],
        "retrain_all": validation["retrain_all"],
        "spread": spread,
        "wall_seconds": sum(stage["wall_seconds"] for stage in stages.values()),
        "peak_bytes": {"bytes": stages[heaviest]["peak_bytes"], "stage": heaviest},
    }


def make(cores: int | None) -> dict[str, Any]:
    """Run every study that is not complete, measure on the first one, and return the record.

    Raises:
        UserError: a study failed.

    """
    for study in {**SEEDS, **BESIDE}.values():
        say(f"study {study.name}")
        run(study, cores)
    say("measuring")
    with redirect_stderr(io.StringIO()):  # the progress of replays
        performance = {"made": environment(), "measured": measure(SEEDS["default"])}
    write_json(PERFORMANCE, performance)
    return performance


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, measure and collect; a study that fails or is missing ends it in one line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--collect", action="store_true", help="run and measure nothing")
    parser.add_argument("--cores", type=int, help="jobs at once (default: all cores)")
    chosen = parser.parse_args(arguments)
    try:
        performance = read_json(PERFORMANCE) if chosen.collect else make(chosen.cores)
        record = collect(performance)
    except UserError as error:
        sys.exit(f"error: {error}")
    write_json(BENCH, record)
    write_text(TABLE, page(record))
    say(
        f"{TABLE}: {sum(row['passed'] is True for row in record['rows'])} of "
        f"{len(record['rows'])} targets met"
    )


if __name__ == "__main__":
    main()

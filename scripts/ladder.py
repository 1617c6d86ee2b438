"""Selects the size of `corrected` on the calibration orders, and keeps their estimates."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.ladder import LadderConfig
from trainorder.config.sections.sizes import sampled_from
from trainorder.estimators.open_estimator import opened_estimator
from trainorder.evaluation.calibration_trial import CalibrationTrial
from trainorder.evaluation.costs import Retraining
from trainorder.evaluation.ladder import Level, climbed, ladder_record, selected
from trainorder.expansion.store import Store
from trainorder.storage.formats import write_json
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    problem, window = context.problem, context.window
    entry = EstimatorConfig(**p["estimator"])
    trial = CalibrationTrial.read(problem, job.input, p, entry.orders)
    store = Store(Path(job.input["manifest"]).parent, context.key)
    retraining = Retraining(window.steps * window.sequences_per_step, problem.size)
    outcomes: dict[int, dict[str, Any]] = {}

    def measured(size: int) -> Level:
        config = replace(entry, size=size)
        with opened_estimator(
            config, problem, context.optimizer, store=store, seed=p["seed"]
        ) as estimator:
            outcomes[size], scores = trial(config.name, estimator)
        cost = retraining.counted([job.meter.as_dict()], "replay") / len(trial.orders)
        job.meter.move(("replay", "evaluation"), to=f"size {size}")
        print(f"{config.name}: {scores['verdict']}: {scores['verdict_reason']}")
        return Level(size, cost, scores)

    ladder = LadderConfig(**p["ladder"])
    sizes, error = ladder.sizes(window), ladder.relative_error
    levels = climbed(sizes, measured, error)
    outcome = outcomes[selected(levels).size]
    write_arrays(job.output["estimate"], context.key, outcome, estimator=entry.name)
    record = ladder_record(
        levels,
        study=p["study"],
        estimator=entry.name,
        most=sizes[-1],
        whole=sampled_from(window),
        error=error,
    )
    write_json(job.output["ladder"], record)


run(main, globals().get("snakemake"))

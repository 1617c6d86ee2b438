"""Judges the searched orders by their retraining, and writes the winners as an orders file."""

from collections.abc import Sequence
from pathlib import Path

from trainorder.config.estimator_names import SCREENING
from trainorder.config.sections import CurriculumConfig
from trainorder.curriculum.candidates import SEARCHED
from trainorder.curriculum.gains import (
    Compute,
    compare,
    objective_recalibration,
    true_objective,
)
from trainorder.curriculum.objective import Objective
from trainorder.evaluation.costs import Retraining, read_costs
from trainorder.evaluation.outcomes import read_truth
from trainorder.evaluation.recalibration import Recalibration
from trainorder.evaluation.results import Results
from trainorder.storage.formats import read_json, write_json
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, config = job.params, CurriculumConfig(**job.params["curriculum"])
    results = Results.read(Path(job.input["validation"]).parent)
    objective = Objective(config.weights)
    candidates = read_json(job.input["candidates"], "propose")
    retrained = [record["name"] for record in candidates["orders"]]
    true = {
        **true_objective(objective, read_truth(job.input["truth"], p["key"], results.orders)),
        **true_objective(
            objective,
            read_truth(job.input["candidate_truth"], p["key"], retrained, "candidate_truth"),
        ),
    }
    random = [record for record in results.orders.values() if record["kind"] == "random"]
    calibration = [record["name"] for record in random if record["split"] == "calibration"]
    searched = {
        record["name"]: record for record in candidates["orders"] if record["kind"] == SEARCHED
    }
    comparison = compare(
        [*candidates["orders"], *candidates["others"]],
        true,
        [record["name"] for record in random],
        _recalibrations(p["estimators"], config, objective, results, calibration, p["coverage"]),
        _compute(job, results, len(searched)),
    )
    write_json(
        job.output["curriculum"],
        {
            "study": results.validation["study"],
            "objective": config.weights,
            "readouts": config.readouts,
            "coverage": p["coverage"],
            "verdicts": {name: results.score(name)["verdict"] for name in p["estimators"]},
            **comparison,
            "provenance": {
                name: results.validation["provenance"][name]
                for name in ("seeds", "versions", "machine", "config")
            },
        },
    )
    winners = [
        {"name": name, "schedule": searched[name]["schedule"]}
        for name in sorted(searched, key=lambda name: true[name])
    ]
    write_json(job.output["winners"], {"orders": winners})


def _recalibrations(
    estimators: Sequence[str],
    config: CurriculumConfig,
    objective: Objective,
    results: Results,
    calibration: Sequence[str],
    coverage: float,
) -> dict[str, Recalibration]:
    """Return the recalibration of each estimator; an objective along the window has none."""
    if config.readouts != 1:
        return dict.fromkeys(estimators, Recalibration())
    return {
        name: objective_recalibration(
            objective,
            results.metrics,
            results.truth,
            results.raw[name],
            calibration,
            coverage,
        )
        for name in estimators
    }


def _compute(job: Job, results: Results, retrained: int) -> Compute:
    """Return what the search cost, in retrainings."""
    sequences, parameters = results.costs["retraining_sequences"], results.validation["parameters"]
    retraining = Retraining(sequences, parameters)
    return Compute(
        precompute=results.score(SCREENING)["cost"]["precompute_retrainings"],
        search=retraining.counted(read_costs([job.input["cost"]])["propose"]),
        retrained=retrained,
    )


run(main, globals().get("snakemake"))

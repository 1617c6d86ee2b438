"""Judges the searched orders by their real retraining, and writes the winners as an orders file."""

from pathlib import Path

from trainorder.config.estimator_names import SCREENING, SEARCH_ESTIMATORS
from trainorder.config.sections import CurriculumConfig
from trainorder.curriculum.candidates import SEARCHED
from trainorder.curriculum.judgement import Compute, judge, radius, true_objective
from trainorder.curriculum.objective import Objective
from trainorder.evaluation.outcomes import read_truth
from trainorder.evaluation.results import Results
from trainorder.storage.formats import read_json, write_json
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, config = job.params, CurriculumConfig(**job.params["curriculum"])
    results = Results.read(Path(job.input["validation"]).parent)
    found, objective = read_json(job.input["candidates"], "propose"), Objective(config.weights)
    orders = [record for record in results.orders.values() if record["kind"] == "random"]
    truth = read_truth(job.input["truth"], p["key"], results.orders)
    mine = read_truth(
        job.input["candidate_truth"],
        p["key"],
        [record["name"] for record in found["orders"]],
        "candidate_truth",
    )
    true = {**true_objective(objective, truth), **true_objective(objective, mine)}
    calibration = [order["name"] for order in orders if order["split"] == "calibration"]
    radii = {
        name: radius(
            objective, results.metrics, results.truth, results.estimates[name], calibration,
            p["coverage"],
        ) if config.readouts == 1 else None
        for name in SEARCH_ESTIMATORS
    }  # fmt: skip
    retraining = results.costs["retraining_seconds"]
    seconds = read_json(job.input["cost"], "propose")["seconds"]
    cheap = results.score(SCREENING)["cost"]["precompute_retrainings"]
    searched = [record for record in found["orders"] if record["kind"] == SEARCHED]
    record = judge(
        [*found["orders"], *found["others"]],
        true,
        [order["name"] for order in orders],
        radii,
        Compute(cheap, sum(seconds.values()) / retraining, len(searched)),
    )
    keep = ("seeds", "versions", "machine", "config")
    provenance = {name: results.validation["provenance"][name] for name in keep}
    verdicts = {name: results.score(name)["verdict"] for name in SEARCH_ESTIMATORS}
    head = {
        "study": results.validation["study"],
        "objective": config.weights,
        "readouts": config.readouts,
        "coverage": p["coverage"],
        "verdicts": verdicts,
    }
    write_json(job.output["curriculum"], {**head, **record, "provenance": provenance})
    names = {order["name"]: order for order in searched}
    ranked = sorted(names, key=lambda name: true[name])
    winners = [{"name": name, "schedule": names[name]["schedule"]} for name in ranked]
    write_json(job.output["winners"], {"orders": winners})


run(main, globals().get("snakemake"))

"""Judges the searched orders by their retraining, and writes the winners as an orders file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainorder.config.sections.curriculum import GLOBAL, STEPS, CurriculumConfig
from trainorder.curriculum.candidates_file import SEARCHED, read_candidates
from trainorder.curriculum.fresh_gains import fresh_gains, shortfall
from trainorder.curriculum.gains import (
    Compute,
    compare,
    objective_recalibration,
    precompute_of,
    true_objective,
)
from trainorder.curriculum.objective import Objective
from trainorder.curriculum.step_records import SPAN
from trainorder.evaluation.costs import Retraining, read_costs
from trainorder.evaluation.outcomes import read_truth
from trainorder.evaluation.recalibration import Recalibration
from trainorder.evaluation.results import Results
from trainorder.evaluation.scores import IntervalSettings
from trainorder.orders.order import CALIBRATION, HELD_BACK
from trainorder.storage.formats import read_json, write_json
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, config = job.params, CurriculumConfig(**job.params["curriculum"])
    results = Results.read(Path(job.input["validation"]).parent)
    objective = Objective(config.weights)
    candidates = read_candidates(job.input["candidates"])
    retrained = [record["name"] for record in candidates["orders"]]
    true = {
        **true_objective(objective, read_truth(job.input["truth"], p["key"], results.orders)),
        **true_objective(
            objective,
            read_truth(job.input["candidate_truth"], p["key"], retrained, "candidate_truth"),
        ),
    }
    drawn = [record for record in results.orders.values() if record["kind"] == "random"]
    random = [record["name"] for record in drawn]
    calibration = [record["name"] for record in drawn if record["split"] == CALIBRATION]
    searched = {
        record["name"]: record for record in candidates["orders"] if record["kind"] == SEARCHED
    }
    recalibrations = _recalibrations(
        p["estimators"], config, objective, results, calibration, p["validation"]["coverage"]
    )
    comparison = compare(
        [*candidates["orders"], *candidates["others"]],
        true,
        random,
        [record["name"] for record in drawn if record["split"] == HELD_BACK],
        recalibrations | {STEPS: Recalibration()},
        _compute(job, results, candidates, len(searched)),
        IntervalSettings(**p["validation"]),
    )
    write_json(
        job.output["curriculum"],
        {
            "study": results.validation["study"],
            "objective": config.weights,
            "readouts": config.readouts,
            "coverage": p["validation"]["coverage"],
            "verdicts": {name: results.score(name)["verdict"] for name in p["estimators"]},
            "method": candidates.get("method", GLOBAL),
            **{name: candidates[name] for name in ("reason", "step_search") if name in candidates},
            **comparison,
            **_fresh(job, objective, true, random, comparison),
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


def _compute(job: Job, results: Results, candidates: Mapping[str, Any], retrained: int) -> Compute:
    """Return what the search cost, in retrainings."""
    sequences, parameters = results.costs["retraining_sequences"], results.validation["parameters"]
    retraining, spent = Retraining(sequences, parameters), read_costs(job.input["search_costs"])
    if candidates.get("method") != STEPS:
        return Compute(
            precompute=precompute_of(
                {name: results.score(name)["cost"] for name in job.params["estimators"]}
            ),
            search=retraining.counted(spent["propose"]),
            retrained=retrained,
        )
    [record] = spent["step_search"]
    return Compute(
        precompute=results.score(job.params["step_estimator"])["cost"]["precompute_retrainings"],
        search=retraining.counted([record], SPAN),
        retrained=candidates["step_search"]["retrained_before"] + record["orders"],
    )


def _fresh(
    job: Job,
    objective: Objective,
    true: Mapping[str, float],
    random: Sequence[str],
    comparison: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the entry `fresh`, with one record for each set of fresh retrainings, if any."""
    draws = job.params["fresh"]
    if not draws:
        return {}
    listed = read_json(job.input["fresh_orders"], "fresh_orders")
    names = [record["name"] for record in listed["orders"]]
    n, records = comparison["compute"]["random_orders_for_it"], []
    for draw, file in zip(draws, job.input["fresh_truth"], strict=True):
        truth = read_truth([file], draw["key"], names, "fresh_truth")
        fresh = true_objective(objective, truth)
        gains = fresh_gains(fresh, true, comparison["winner"], random, listed["sample"], n)
        if line := shortfall(gains["compute"]):
            print(f"orders.random: {line}, so the gain over it is overestimated; raise this key")
        records.append({"init": draw["init"], "heldout": draw["heldout"], **gains})
    return {"fresh": records}


run(main, globals().get("snakemake"))

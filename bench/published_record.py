"""The record of a study of `bench.published`: perplexities, costs and losses at every step."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.grid import summary
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.curriculum.candidates_file import SEARCHED
from trainorder.evaluation.costs import (
    Retraining,
    precompute_stages,
    read_costs,
    stage_totals,
)
from trainorder.evaluation.outcomes import read_truth
from trainorder.evaluation.results import Results
from trainorder.figures.loss_along_window import tracks
from trainorder.numerics.resampling import finite

TASK = ("choice_probability", "choice_accuracy")  # of multiple choice; the first changes smoothly

Record = Mapping[str, Any]


def study_record(folder: Path) -> dict[str, Any]:
    """Return the numbers of the study in `folder` that the page shows.

    Raises:
        UserError: a result file is missing or malformed.

    """
    results = Results.read(folder)
    record = summary(results)
    for name, entry in record["estimators"].items():
        entry |= _perplexity_errors(results, name) | _costs(results, name)
    record |= {"perplexity": _true_perplexity(results), "stepwise": _stepwise(results)}
    if TASK[0] in results.metrics:
        record["task"] = _task(results, folder)
    if results.curriculum is not None:
        record["curriculum"] = {
            key: results.curriculum[key]
            for key in ("winner", "best_of_field", "orders", "random", "compute", "gains")
        }
        record["search_costs"] = _search_costs(results, folder)
    if results.memorization is not None:
        record["agreement"] = results.memorization["agreement"]
        record["retrained"] = results.memorization["retrained"]
    return record


def _true_perplexity(results: Results) -> dict[str, float]:
    """Return mean and spread of the true perplexity of the random orders."""
    losses = [
        metrics["heldout"]
        for order, metrics in results.truth.items()
        if results.split(order) == "random"
    ]
    values = np.exp(losses)
    return {"mean": float(values.mean()), "std": float(values.std(ddof=1)), "n": len(values)}


def _perplexity_errors(results: Results, name: str) -> dict[str, Any]:
    """Return the mean absolute differences of perplexity over the random orders.

    `perplexity_error` is that of the raw estimates, as the published study reports it, and
    `recalibrated_perplexity_error` that of the recalibrated ones; None if an estimate diverged.
    """
    points = [point for point in results.points(name) if point.split == "random"]

    def error(estimates: Sequence[float]) -> float | None:
        pairs = zip(estimates, points, strict=True)
        return finite(_mean([abs(_exp(value) - _exp(point.true)) for value, point in pairs]))

    return {
        "perplexity_error": error([point.raw for point in points]),
        "recalibrated_perplexity_error": error([point.estimated for point in points]),
    }


def _exp(loss: float) -> float:
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _costs(results: Results, name: str) -> dict[str, Any]:
    """Return seconds of the precompute, and the largest memory of the jobs of an estimator."""
    stages = results.costs["stages"]
    used = [f"estimate/{name}", *precompute_stages(EstimatorConfig.from_name(name))]
    return {
        "precompute_seconds": results.score(name)["cost"]["precompute_seconds"],
        "peak_bytes": max(stages[stage]["peak_bytes"] for stage in used if stage in stages),
    }


def _stepwise(results: Results) -> dict[str, dict[str, Any]]:
    """Return the true and the estimated `heldout` after every step, by followed order."""
    return {
        order: {
            "true": list(next(iter(by_estimator.values())).true),
            "estimated": {
                name: [finite(value) for value in track.estimated]
                for name, track in by_estimator.items()
            },
        }
        for order, by_estimator in tracks(results).items()
    }


def _task(results: Results, folder: Path) -> dict[str, Any]:
    """Return what orders do to the task, by domain and order, and how well estimates rank it."""
    spread = results.validation["spread"]
    metrics = [name for name in results.metrics if name.partition("/")[0] in TASK]
    return {
        "spread": {metric: spread[metric]["random"] for metric in metrics},
        "order_lds": {
            name: {metric: results.score(name)["order_lds"][metric]["random"] for metric in metrics}
            for name in results.estimators
            if EstimatorConfig.from_name(name).descriptor.estimates_parameters
        },
        "orders": _task_of_candidates(results, folder),
    }


def _task_of_candidates(results: Results, folder: Path) -> dict[str, dict[str, float]]:
    """Return the true values of the task for every retrained order of the search."""
    if results.curriculum is None:
        return {}
    names = [order["name"] for order in _retrained_candidates(results)]
    files = sorted((folder / "curriculum/truth").glob("*.h5"))
    truth = read_truth(files, None, names, "candidate_truth")
    columns = {metric: truth.metrics.index(metric) for metric in TASK}
    of_candidates = {
        name: {metric: float(truth.value[row, column]) for metric, column in columns.items()}
        for name, row in zip(names, truth.rows(names), strict=True)
    }
    of_study = {
        order["name"]: {metric: results.truth[order["name"]][metric] for metric in TASK}
        for order in results.curriculum["orders"]
        if order["name"] in results.truth
    }
    return of_candidates | of_study


def _retrained_candidates(results: Results) -> list[Record]:
    """Return the orders that were retrained for the search, not for the study's estimates."""
    assert results.curriculum is not None
    return [
        order
        for order in results.curriculum["orders"]
        if order["true"] is not None and order["name"] not in results.truth
    ]


def _search_costs(results: Results, folder: Path) -> dict[str, dict[str, Any]]:
    """Return seconds, memory, bytes on disk and retrainings of each part of the search.

    Both estimators of the search have a part, by their names, as in `gains.precompute_of`. The
    retrained heuristic orders are a part of their own, because a search does not need them.
    """
    assert results.curriculum is not None
    files = [folder / "costs/propose.json", *(folder / "costs/candidate_truth").glob("*.json")]
    jobs = read_costs(files)
    unit = Retraining(results.costs["retraining_sequences"], results.validation["parameters"])
    kinds = [order["kind"] for order in _retrained_candidates(results)]
    searched = kinds.count(SEARCHED) / len(kinds)
    retraining = _jobs_cost(jobs["candidate_truth"], unit)
    return {
        **{name: _estimator_cost(results, name) for name in results.curriculum["verdicts"]},
        "propose": _jobs_cost(jobs["propose"], unit),
        "searched": _part(retraining, searched),
        "heuristic": _part(retraining, 1 - searched),
    }


def _estimator_cost(results: Results, name: str) -> dict[str, Any]:
    """Return what an estimator costs before its first estimate, the choice of its size included."""
    config, cost = EstimatorConfig.from_name(name), results.score(name)["cost"]
    names = [*precompute_stages(config), *(["ladder"] if config.descriptor.needs_run else [])]
    stages = [results.costs["stages"][s] for s in names if s in results.costs["stages"]]
    return {
        "seconds": sum(stage["wall_seconds"] for stage in stages),
        "peak_bytes": max(stage["peak_bytes"] for stage in stages),
        "bytes": sum(stage["bytes"] or 0 for stage in stages),
        "retrainings": cost["precompute_retrainings"] + cost["selection_retrainings"],
    }


def _jobs_cost(records: Sequence[Record], unit: Retraining) -> dict[str, Any]:
    totals = stage_totals(records)
    return {
        "seconds": totals["wall_seconds"],
        "peak_bytes": totals["peak_bytes"],
        "bytes": 0,
        "retrainings": unit.counted(records),
    }


def _part(cost: Record, share: float) -> dict[str, Any]:
    """Return a share of a cost; the memory of a job does not depend on the number of its orders."""
    return {**cost, **{key: share * cost[key] for key in ("seconds", "retrainings")}}

"""The record of a study of `bench.published`: perplexities, costs and losses at every step."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.grid import summary
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.evaluation.costs import (
    Retraining,
    precompute_stages,
    read_costs,
    stage_totals,
)
from trainorder.evaluation.results import Results
from trainorder.figures.loss_along_window import tracks
from trainorder.numerics.resampling import finite

TASK = ("choice_probability", "choice_accuracy")  # of multiple choice; the first changes smoothly
SEARCH = "reduced@barycentre"  # the estimator that searches orders

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
        record["task"] = _task(results)
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


def _task(results: Results) -> dict[str, Any]:
    """Return the spread of the task over random orders, and how well estimates rank it."""
    spread = results.validation["spread"]
    return {
        "spread": {metric: spread[metric]["random"] for metric in TASK},
        "order_lds": {
            name: {metric: results.score(name)["order_lds"][metric]["random"] for metric in TASK}
            for name in results.estimators
            if EstimatorConfig.from_name(name).descriptor.estimates_parameters
        },
    }


def _search_costs(results: Results, folder: Path) -> dict[str, dict[str, Any]]:
    """Return seconds, memory, bytes on disk and retrainings of each part of the search."""
    files = [folder / "costs/propose.json", *(folder / "costs/candidate_truth").glob("*.json")]
    jobs = read_costs(files)
    unit = Retraining(results.costs["retraining_sequences"], results.validation["parameters"])
    stages = results.costs["stages"]
    precompute = [stages[s] for s in precompute_stages(EstimatorConfig.from_name(SEARCH))]
    return {
        "precompute": {
            "seconds": sum(stage["wall_seconds"] for stage in precompute),
            "peak_bytes": max(stage["peak_bytes"] for stage in precompute),
            "bytes": sum(stage["bytes"] or 0 for stage in precompute),
            "retrainings": sum(stage["retrainings"] for stage in precompute),
        },
        **{
            stage: {
                "seconds": totals["wall_seconds"],
                "peak_bytes": totals["peak_bytes"],
                "bytes": 0,
                "retrainings": unit.counted(jobs[stage]),
            }
            for stage in ("propose", "candidate_truth")
            for totals in [stage_totals(jobs[stage])]
        },
    }

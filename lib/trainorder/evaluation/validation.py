"""Joins truth and estimates into the result files, and gives each estimator a verdict.

`docs/results.md` describes the files field by field and states the rule of the verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.evaluation import costs
from trainorder.evaluation.outcomes import read_estimates, read_order_records, read_truth
from trainorder.evaluation.paired_outcomes import pair_with_truth
from trainorder.evaluation.predictability import Predictability
from trainorder.evaluation.scores import (
    IntervalSettings,
    by_metric,
    diverged_orders,
    divergence_threshold,
    estimator_scores,
    read_vocabulary,
    true_spread,
)
from trainorder.evaluation.tables import (
    write_estimates,
    write_stepwise_losses,
    write_trajectories,
    write_truth,
    write_truth_losses,
)
from trainorder.evaluation.verdict import best_estimator, selected_estimator
from trainorder.orders.order import REFERENCE
from trainorder.storage import provenance
from trainorder.storage import sealed_hdf5 as store
from trainorder.storage.formats import read_json, write_json


@dataclass(frozen=True)
class ValidationInputs:
    """The files that validation reads.

    Attributes:
        orders: `orders.json`.
        corpus: `corpus.json`, for the size of the vocabulary.
        warm: `store/warm.h5`, for the number of parameters.
        predictability: `predictability.json`.
        manifest: `store/manifest.json`.
        truth: the truth shards.
        estimates: the estimate shards of all estimators.
        costs: the cost record of every job.

    """

    orders: str
    corpus: str
    warm: str
    predictability: str
    manifest: str
    truth: list[str]
    estimates: list[str]
    costs: list[str]


@dataclass(frozen=True)
class ValidationOutputs:
    """The files that validation writes, see `result_files`."""

    truth: str
    truth_losses: str
    estimates: str
    trajectories: str
    stepwise: str | list[str]  # an empty list without `stepwise_losses`
    validation: str
    costs: str


def validate(
    inputs: ValidationInputs,
    outputs: ValidationOutputs,
    estimators: Sequence[EstimatorConfig],
    settings: IntervalSettings,
    config: Mapping[str, Any],
    key: str | None = None,
) -> dict[str, Any]:
    """Write the result files of a study.

    Args:
        inputs: files to read.
        outputs: files to write.
        estimators: the estimators of the study.
        settings: how intervals are computed.
        config: the whole configuration of the study, which is recorded beside the numbers.
        key: the study key that every shard must carry; None accepts any.

    Returns:
        The content of `validation.json`.

    Raises:
        UserError: a file is missing, damaged or does not fit the others.

    """
    records = read_order_records(inputs.orders)
    truth = read_truth(inputs.truth, key, records)
    estimates = read_estimates(
        inputs.estimates, key, records, [estimator.name for estimator in estimators], truth
    )
    splits = {name: str(record["split"]) for name, record in records.items()}
    metrics_only = {e.name for e in estimators if not e.descriptor.estimates_parameters}
    pairs = [
        pair_with_truth(name, estimate, truth, splits, has_parameters=name not in metrics_only)
        for name, estimate in estimates.items()
    ]
    counts = {split: list(splits.values()).count(split) for split in dict.fromkeys(splits.values())}

    jobs = costs.read_costs(inputs.costs)
    manifest = read_json(inputs.manifest, "manifest")
    window, parameters = WindowConfig(**config["window"]), _parameters(inputs.warm, key)
    retraining = costs.Retraining(
        window.steps * window.sequences_per_step, parameters, costs.retraining_seconds(jobs)
    )
    estimator_costs = {
        estimator.name: costs.estimator_cost(estimator, jobs, retraining, manifest, counts)
        for estimator in estimators
    }
    vocabulary = read_vocabulary(inputs.corpus)
    scores = {
        paired.name: estimator_scores(paired, truth.metrics, settings, vocabulary)
        | {"cost": estimator_costs[paired.name]}
        | {"diverged": diverged_orders(paired, truth.metrics, vocabulary)}
        for paired in pairs
    }
    best = best_estimator(scores)
    further = {e.name for e in estimators if not e.descriptor.fitted}
    summary = {
        "study": config["study"],
        "verdict": scores[best]["verdict"],
        "best_estimator": best,
        "selected_estimator": selected_estimator(
            {name: score for name, score in scores.items() if name in further} or scores
        ),
        "metrics": truth.metrics,
        "parameters": parameters,
        "orders": counts,
        "reference": by_metric(truth.metrics, truth.value[truth.rows([REFERENCE])[0]]),
        "predictability": _predictability(inputs.predictability),
        "spread": true_spread(truth, splits),
        "divergence_threshold": divergence_threshold(vocabulary),
        "retrain_all": costs.retrain_all(jobs, retraining, counts),
        "estimators": scores,
        "provenance": {
            "versions": provenance.versions(),
            "machine": provenance.machine() | costs.gpus(jobs),
            "seeds": config["seeds"],
            "config": config,
        },
    }
    stored = costs.stored_bytes(manifest)
    for stage, size in _shard_bytes(inputs).items():
        stored[stage] = stored.get(stage, 0) + size
    write_truth(outputs.truth, truth)
    write_truth_losses(outputs.truth_losses, truth)
    write_estimates(outputs.estimates, pairs, truth.metrics, scores)
    write_trajectories(outputs.trajectories, pairs, truth)
    if isinstance(outputs.stepwise, str):
        write_stepwise_losses(outputs.stepwise, pairs, truth)
    write_json(
        outputs.costs,
        {
            "retraining_sequences": retraining.sequences,
            "retraining_seconds": retraining.seconds,
            "stages": costs.stage_costs(jobs, retraining, stored),
        },
    )
    write_json(outputs.validation, summary)
    return summary


def _predictability(path: str) -> dict[str, Any]:
    """Return the predictability of the study, without its single directions."""
    record = read_json(path, "predictability")
    Predictability.of(record)  # checks the fields
    shown = ("growth", "linearity", "expectation", "reason", "cost")
    return {name: record[name] for name in shown}


def _parameters(path: str, key: str | None) -> int:
    with store.opened(path, key, "warm") as file:
        return int(file["parameters"].shape[0])


def _shard_bytes(inputs: ValidationInputs) -> dict[str, int]:
    """Return the bytes of the warm state, and of truth and estimate shards, by stage."""
    sizes = {"truth": sum(Path(file).stat().st_size for file in inputs.truth)}
    for file in map(Path, inputs.estimates):
        stage = f"estimate/{file.parent.name}"
        sizes[stage] = sizes.get(stage, 0) + file.stat().st_size
    sizes["warm"] = Path(inputs.warm).stat().st_size
    return sizes

"""Joins truth and estimates into the result files, and gives each estimator a verdict.

`docs/results.md` describes the files field by field and states the rule of the verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainorder.config.estimator_names import method_of
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.evaluation import costs
from trainorder.evaluation.outcomes import (
    Outcomes,
    read_estimates,
    read_order_records,
    read_truth,
)
from trainorder.evaluation.paired_outcomes import PairedOutcomes, pair_with_truth
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
        verification: `store/reference/verification.json`; an empty list without an existing run.
        manifest: `store/manifest.json`.
        truth: the truth shards.
        estimates: the estimate shards of all estimators.
        costs: the cost record of every job.

    """

    orders: str
    corpus: str
    warm: str
    predictability: str
    verification: str | list[str]
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
    splits = {name: str(record["split"]) for name, record in records.items()}
    counts = {split: list(splits.values()).count(split) for split in dict.fromkeys(splits.values())}
    truth = read_truth(inputs.truth, key, records)
    names = [estimator.name for estimator in estimators]
    pairs = _pairs(read_estimates(inputs.estimates, key, records, names, truth), truth, splits)

    jobs, manifest = costs.read_costs(inputs.costs), read_json(inputs.manifest, "manifest")
    window, parameters = WindowConfig(**config["window"]), _parameters(inputs.warm, key)
    retraining = costs.Retraining(
        window.steps * window.sequences_per_step, parameters, costs.retraining_seconds(jobs)
    )
    vocabulary = read_vocabulary(inputs.corpus)
    scores = {
        paired.name: {
            **estimator_scores(paired, truth.metrics, settings, vocabulary),
            "cost": costs.estimator_cost(estimator, jobs, retraining, manifest, counts),
            "diverged": diverged_orders(paired, truth.metrics, vocabulary),
        }
        for estimator, paired in zip(estimators, pairs, strict=True)
    }
    summary = {
        "study": config["study"],
        **_recommendation(scores, estimators),
        "metrics": truth.metrics,
        "parameters": parameters,
        "orders": counts,
        "reference": by_metric(truth.metrics, truth.value[truth.rows([REFERENCE])[0]]),
        "existing_run": _existing_run(inputs.verification),
        "predictability": _predictability(inputs.predictability),
        "spread": true_spread(truth, splits),
        "divergence_threshold": divergence_threshold(vocabulary),
        "retrain_all": costs.retrain_all(jobs, retraining, counts),
        "estimators": scores,
        "provenance": {
            "versions": provenance.versions(),
            "machine": provenance.machine() | costs.gpus(jobs),
            "model_commits": costs.model_commits(jobs),
            "seeds": config["seeds"],
            "config": config,
        },
    }
    _write_tables(outputs, truth, pairs, scores)
    write_json(
        outputs.costs,
        {
            "retraining_sequences": retraining.sequences,
            "retraining_seconds": retraining.seconds,
            "stages": costs.stage_costs(jobs, retraining, _stored_bytes(inputs, manifest)),
        },
    )
    write_json(outputs.validation, summary)
    return summary


def _pairs(
    estimates: Mapping[str, Outcomes], truth: Outcomes, splits: Mapping[str, str]
) -> list[PairedOutcomes]:
    """Return each estimator's outcomes beside the truth."""
    return [
        pair_with_truth(
            *(name, estimate, truth, splits), has_parameters=method_of(name).estimates_parameters
        )
        for name, estimate in estimates.items()
    ]


def _recommendation(
    scores: Mapping[str, Mapping[str, Any]], estimators: Sequence[EstimatorConfig]
) -> dict[str, Any]:
    """Return the most accurate estimator, its verdict, and the estimator to use.

    Fitted estimators are used only if there are no others.
    """
    best = best_estimator(scores)
    expanded = {e.name: scores[e.name] for e in estimators if not e.descriptor.fitted}
    return {
        "verdict": scores[best]["verdict"],
        "best_estimator": best,
        "selected_estimator": selected_estimator(expanded or scores),
    }


def _write_tables(
    outputs: ValidationOutputs,
    truth: Outcomes,
    pairs: Sequence[PairedOutcomes],
    scores: Mapping[str, Mapping[str, Any]],
) -> None:
    write_truth(outputs.truth, truth)
    write_truth_losses(outputs.truth_losses, truth)
    write_estimates(outputs.estimates, pairs, truth.metrics, scores)
    write_trajectories(outputs.trajectories, pairs, truth)
    if isinstance(outputs.stepwise, str):
        write_stepwise_losses(outputs.stepwise, pairs, truth)


def _predictability(path: str) -> dict[str, Any]:
    """Return the predictability of the study, without its single directions."""
    record = read_json(path, "predictability")
    Predictability.of(record)  # checks the fields
    shown = ("growth", "linearity", "expectation", "reason", "cost")
    return {name: record[name] for name in shown}


def _existing_run(path: str | list[str]) -> Any:
    """Return which steps of an existing run are verified; None if the study has no such run."""
    return read_json(path, "reference") if isinstance(path, str) else None


def _parameters(path: str, key: str | None) -> int:
    with store.opened(path, key, "warm") as file:
        return int(file["parameters"].shape[0])


def _stored_bytes(inputs: ValidationInputs, manifest: Mapping[str, Any]) -> dict[str, int]:
    """Return the bytes that each stage stores, with the warm state and the shards."""
    sizes = costs.stored_bytes(manifest)
    own = [("warm", inputs.warm), *(("truth", file) for file in inputs.truth)]
    own += [(f"estimate/{Path(file).parent.name}", file) for file in inputs.estimates]
    for stage, file in own:
        sizes[stage] = sizes.get(stage, 0) + Path(file).stat().st_size
    return sizes

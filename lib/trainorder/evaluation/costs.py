"""Sums the costs of a study's jobs: retrainings, seconds and bytes.

Costs in retrainings are counted: the arithmetic of the passes through the model, divided by that of
the gradients of one retraining. They are the same on every machine. See `docs/method`, "Cost".
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.errors import UserError
from trainorder.orders.order import CALIBRATION, FIT, HELD_BACK
from trainorder.storage.formats import read_json
from trainorder.training.passes import products

SELECTION = "selection"  # the span of passes that select a rank, in a job that precomputes
ALONG = "along"  # the span of passes whose losses only the explorer shows
_NOT_NEEDED = (SELECTION, ALONG)  # spans of a job that precomputes, which no estimate needs
Jobs = dict[str, list[dict[str, Any]]]


def read_costs(files: Iterable[str | Path]) -> Jobs:
    """Return the cost records by stage.

    A stage is named after the file's path under `costs/`, without the number of a shard:
    `warm.json` is `warm`, `table/0.json` is `table`, `curvature/barycentre.json` is
    `curvature/barycentre` and `estimate/order0@reference/0.json` is `estimate/order0@reference`.

    Raises:
        UserError: a file is unreadable or not a cost record.

    """
    jobs: Jobs = {}
    for file in map(Path, files):
        stage = _stage(file)
        rule = stage.split("/")[0]
        record = read_json(file, rule)
        try:
            # Sum once here, so that the error for a malformed record names its file.
            float(record["wall_seconds"]) + float(record["peak_bytes"]) + record["orders"]
            sum(record["seconds"].values()) + _arithmetic(record)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise UserError(f"{file}: not a cost record; rerun rule `{rule}`") from None
        jobs.setdefault(stage, []).append(record)
    return jobs


def _stage(file: Path) -> str:
    if "costs" not in file.parts:
        raise UserError(f"{file}: expected a path under a folder `costs`, which names the stage")
    inside = file.parts[len(file.parts) - file.parts[::-1].index("costs") :]
    return "/".join([*inside[:-1], *([] if file.stem.isdigit() else [file.stem])])


def gpus(jobs: Jobs) -> dict[str, list[str]]:
    """Return {"gpus": names} of the GPUs that jobs used; an empty mapping without GPUs."""
    names = {job["gpu"] for records in jobs.values() for job in records if "gpu" in job}
    return {"gpus": sorted(names)} if names else {}


def model_commits(jobs: Jobs) -> list[str] | None:
    """Return the commits of the pretrained model that jobs loaded; None if none is known.

    There are several if a branch moved between two jobs.
    """
    commits = {job["model_commit"] for one in jobs.values() for job in one if "model_commit" in job}
    return sorted(commits) or None


@dataclass(frozen=True)
class Retraining:
    """One retraining of the window: the unit of cost.

    Attributes:
        sequences: the sequences whose gradients it computes.
        parameters: trained parameters of the model.
        seconds: of its training, measured; 0 if it is not known.

    """

    sequences: int
    parameters: int
    seconds: float = 0.0

    def counted(self, records: Iterable[Mapping[str, Any]], *spans: str) -> float:
        """Return the counted cost of jobs in retrainings, in some spans or in all of them.

        A pass through the narrower model of `proxy` costs less by the ratio of the parameters,
        because the multiply-adds for a token are proportional to them (see `training.passes`).
        """
        unit = products({"gradients": self.sequences}) * self.parameters
        return sum(_arithmetic(record, *spans) for record in records) / unit


def _arithmetic(record: Mapping[str, Any], *spans: str) -> int:
    """Return the arithmetic of a job's passes: forward passes of a sequence times parameters."""
    counts = record["counts"]
    passes = sum(products(counts.get(span, {})) for span in spans or counts)
    return passes * record["parameters"] if passes else 0


def retraining_seconds(jobs: Jobs) -> float:
    """Return the seconds of one retraining: training time per order, averaged over truth jobs.

    Raises:
        UserError: no retraining was timed.

    """
    orders = sum(job["orders"] for job in jobs.get("truth", []))
    seconds = sum(job["seconds"].get("training", 0.0) for job in jobs.get("truth", []))
    if orders <= 0 or seconds <= 0:
        raise UserError(
            "costs/truth: no retraining was timed, so its seconds are unknown; rerun rule `truth`"
        )
    return float(seconds / orders)


def stage_costs(jobs: Jobs, retraining: Retraining, stored: Mapping[str, int]) -> dict[str, Any]:
    """Return the `stages` of `costs.json`.

    Args:
        jobs: cost records by stage.
        retraining: the unit of cost.
        stored: bytes that a stage wrote, for the stages where they are known.

    """
    return {
        stage: {
            **stage_totals(records),
            "retrainings": retraining.counted(records),
            "bytes": stored.get(stage),
        }
        for stage, records in jobs.items()
    }


def stage_totals(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums over the jobs of a stage, and the largest memory."""
    return {
        "jobs": len(records),
        "wall_seconds": float(sum(job["wall_seconds"] for job in records)),
        "peak_bytes": max(job["peak_bytes"] for job in records),
        "orders": sum(job["orders"] for job in records),
        "counts": _total(counts for job in records for counts in job["counts"].values()),
        "seconds": _total(job["seconds"] for job in records),
    }


def _total(counts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for count in counts:
        for name, n in count.items():
            total[name] += n  # type: ignore[assignment]
    return dict(sorted(total.items()))


def stored_bytes(manifest: Mapping[str, Any]) -> dict[str, int]:
    """Return the bytes that each stage wrote into the store."""
    return {
        "reference": shard_bytes(manifest, "reference", ["path"]),
        "table": shard_bytes(manifest, "reference", ["table"]),
        "residuals": shard_bytes(manifest, "reference", ["residuals"]),
        "truth": shard_bytes(manifest, "reference", ["known_runs"]),
        "barycentre": shard_bytes(manifest, "barycentre", ["path", "table"]),
        **{
            f"{kind}/{path}": shard_bytes(manifest, path, [kind])
            for kind in ("curvature", "reduced", "effects")
            for path in ("reference", "barycentre")
        },
    }


def shard_bytes(manifest: Mapping[str, Any], path: str, kinds: Sequence[str]) -> int:
    """Return the bytes of a path's shards of the given kinds, from the store's manifest.

    Raises:
        UserError: the manifest is malformed.

    """
    try:
        return sum(
            int(shard["bytes"])
            for shard in manifest["shards"]
            if shard["path"] == path and shard["kind"] in kinds
        )
    except (KeyError, TypeError):
        raise UserError(
            "store/manifest.json: not a manifest of shards; rerun rule `manifest`"
        ) from None


def estimator_cost(
    estimator: EstimatorConfig,
    jobs: Jobs,
    retraining: Retraining,
    manifest: Mapping[str, Any],
    orders: Mapping[str, int],
) -> dict[str, Any]:
    """Return the cost of an estimator: precompute, selection of its size, per order, total, bytes.

    The numbers of retrainings are counted; the seconds beside them are measured. The total is that
    of the estimates of all calibration and held-back orders; `estimate_cost` divides it.

    Args:
        estimator: the estimator.
        jobs: cost records by stage.
        retraining: the unit of cost.
        manifest: content of the store's manifest.
        orders: number of orders of the study by split.

    Raises:
        UserError: a stage that the estimator needs has no cost record.

    """
    fit = orders.get(FIT, 0)
    precompute = _precompute_retrainings(estimator, jobs, retraining, fit)
    stage, span = f"estimate/{estimator.name}", "replay"
    method = estimator.descriptor
    if method.training_stage:
        stage, span = method.training_stage, "training"
    records = jobs.get(stage, [])
    each = _retrainings_per_order(records, retraining, span)
    evaluation = _retrainings_per_order(records, retraining, "evaluation")
    selection = _selection_retrainings(estimator, jobs, retraining)
    total = None
    if each is not None and evaluation is not None:
        # The ladder has already replayed the calibration orders.
        left = orders.get(HELD_BACK, 0) if estimator.size_is_open else ranked(orders)
        total = precompute + selection + (each + evaluation) * left
    return {
        "precompute_retrainings": precompute,
        "selection_retrainings": selection,
        "per_order_retrainings": each,
        "evaluation_retrainings": evaluation,
        "total_retrainings": total,
        "precompute_seconds": _precompute_seconds(estimator, jobs, retraining.seconds, fit),
        "seconds_per_order": _seconds_per_order(records, span),
        "bytes": shard_bytes(manifest, estimator.path, estimator.reads),
    }


def ranked(orders: Mapping[str, int]) -> int:
    """Return the number of random orders of a study, calibration orders included."""
    return orders.get(CALIBRATION, 0) + orders.get(HELD_BACK, 0)


def retrain_all(jobs: Jobs, retraining: Retraining, orders: Mapping[str, int]) -> dict[str, float]:
    """Return the cost of retraining and evaluating all ranked orders."""
    evaluation = _retrainings_per_order(jobs["truth"], retraining, "evaluation") or 0.0
    return {"orders": ranked(orders), "total_retrainings": (1 + evaluation) * ranked(orders)}


def _selection_retrainings(estimator: EstimatorConfig, jobs: Jobs, retraining: Retraining) -> float:
    """Return what was spent on the calibration orders to select the estimator's size or rank."""
    if estimator.size_is_open:
        return retraining.counted(jobs.get("ladder", []))
    stages = precompute_stages(estimator)
    records = [job for name in stages for job in _jobs(jobs, name, estimator)]
    return retraining.counted(records, SELECTION)


def _precompute_retrainings(
    estimator: EstimatorConfig, jobs: Jobs, retraining: Retraining, fit: int
) -> float:
    """Return what is computed once, with `fit` true retrainings for a fitted estimator."""
    method = estimator.descriptor
    own = jobs.get(f"estimate/{estimator.name}", [])
    # Each of its jobs computes the same again, so the mean is what one computation costs.
    cost = retraining.counted(own, "precompute") / max(1, len(own))
    if method.fitted:
        cost += fit
    if method.training_stage:
        records = _jobs(jobs, method.training_stage, estimator)
        cost += fit * (_retrainings_per_order(records, retraining, "training") or 0.0)
    records = [job for name in precompute_stages(estimator) for job in _jobs(jobs, name, estimator)]
    return cost + precomputed(records, retraining)


def precomputed(records: Sequence[Mapping[str, Any]], retraining: Retraining) -> float:
    """Return the counted cost of jobs that precompute, without what no estimate needs."""
    return retraining.counted(
        {**record, "counts": {s: n for s, n in record["counts"].items() if s not in _NOT_NEEDED}}
        for record in records
    )


def _precompute_seconds(
    estimator: EstimatorConfig, jobs: Jobs, retraining: float, fit: int
) -> float:
    """Return the seconds of what `_precompute_retrainings` counts."""
    own = jobs.get(f"estimate/{estimator.name}", [])
    seconds = sum(float(job["seconds"].get("precompute", 0.0)) for job in own) / max(1, len(own))
    method = estimator.descriptor
    if method.fitted:
        seconds += fit * retraining
    if method.training_stage:
        each = _seconds_per_order(_jobs(jobs, method.training_stage, estimator), "training")
        seconds += fit * (each or 0.0)
    stages = precompute_stages(estimator)
    return seconds + sum(_spent(job) for name in stages for job in _jobs(jobs, name, estimator))


def precompute_stages(estimator: EstimatorConfig) -> list[str]:
    """Return the stages that an estimator needs, except the corpus and the warm-up."""
    path, method = estimator.path, estimator.descriptor
    if not method.takes_path:
        return list(method.training_precompute)
    curved = method.uses_curvature
    stages = ["manifest", *_path_stages(path, table=method.uses_table)]
    if method.needs_run:
        stages.append("residuals")
    if curved and "clusters" not in stages:
        stages.append("clusters")
    if curved:
        stages += [f"probes/{path}", f"unit_curvature/{path}", f"curvature/{path}"]
    if "reduced" in method.reads:
        stages.append(f"reduced/{path}")
    if "effects" in method.reads:
        stages.append(f"effects/{path}")
    return stages


def stages_before_probing(path: str) -> list[str]:
    """Return the stages that a path's curvature needs before it is probed."""
    return list(dict.fromkeys([*_path_stages(path, table=True), "clusters"]))


def _path_stages(path: str, *, table: bool) -> list[str]:
    """Return the stages that compute a path, and its gradient table if `table`."""
    if path == "barycentre":  # its rule computes path and table at once, from clusters
        return ["barycentre", "clusters"]
    return ["reference", *(["table"] if table else [])]


def _jobs(jobs: Jobs, stage: str, estimator: EstimatorConfig) -> list[dict[str, Any]]:
    if stage not in jobs:
        rule = stage.split("/")[0]
        raise UserError(
            f"costs/{stage}: no cost record, which {estimator.name} needs; rerun rule `{rule}`"
        )
    return jobs[stage]


def _spent(job: Mapping[str, Any]) -> float:
    """Return the seconds of a job's own work: its named span if it has one, else its wall time.

    Named spans exclude loading the corpus and the model.
    """
    spans = job["seconds"]
    return float(spans.get("precompute", spans.get("training", job["wall_seconds"])))


def _retrainings_per_order(
    records: Sequence[Mapping[str, Any]], retraining: Retraining, span: str
) -> float | None:
    orders = sum(record["orders"] for record in records)
    return retraining.counted(records, span) / orders if orders else None


def _seconds_per_order(records: Sequence[Mapping[str, Any]], span: str) -> float | None:
    orders = sum(record["orders"] for record in records)
    seconds = sum(record["seconds"].get(span, 0.0) for record in records)
    return float(seconds / orders) if orders else None

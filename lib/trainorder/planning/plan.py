"""The plan of a study before it runs: its passes, bytes, memory and time."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch

from trainorder.evaluation import result_files
from trainorder.evaluation.costs import Retraining
from trainorder.evaluation.measured_studies import measured_studies, what_to_expect
from trainorder.evaluation.predictability import Predictability
from trainorder.planning.disk_check import (
    check_disk,
    check_temporary,
    scratch_bytes,
    vector_bytes,
)
from trainorder.planning.machine_speed import MachineSpeed, measure_speed
from trainorder.planning.planned_rank import assumed_rank
from trainorder.planning.sizes import Sizes
from trainorder.planning.stage import Stage
from trainorder.planning.stages import stages
from trainorder.storage.formats import read_json
from trainorder.storage.provenance import machine, versions
from trainorder.training.device import prepared
from trainorder.training.meter import OTHER

NOT_PLANNED = (
    "time: reading and packing the text, validation, figures, explorer and report (about a minute "
    "in the default study), and jobs that wait for other jobs",
    "bytes: files other than HDF5 (tables, figures, explorer, logs; about 20 MB in the default "
    "study), and downloaded archives",
    "memory: freed memory that torch keeps; the text except its sequences; the memory of a GPU",
)

Record = dict[str, Any]


def plan(
    config: Mapping[str, Any], replicates: Sequence[Mapping[str, Any]], cores: int, results: Path
) -> Record:
    """Return the content of `plan.json`: the planned costs of a study that fits on this disk.

    Args:
        config: the whole checked configuration.
        replicates: the configurations of the studies that repeat its search.
        cores: number of cores that jobs may use together.
        results: the folder of the study, which may not exist yet.

    Raises:
        UserError: the study does not fit on the disk, or its tokenizer or orders are unreadable.

    """
    sizes, slots = Sizes(config), parallel_jobs(config, cores)
    studies = [stages(sizes), *(stages(Sizes(other)) for other in replicates)]
    check_disk(studies, results, slots)
    check_temporary(studies, sizes, results, slots)
    costs = planned_costs(config, replicates, cores)
    return {**costs, "predictability": _measured_predictability(results)}


def parallel_jobs(config: Mapping[str, Any], cores: int) -> int:
    """Return how many jobs of a study run at once on a number of cores."""
    return max(1, cores // config["threads"]) if config["device"] == "cpu" else 1


def planned_costs(
    config: Mapping[str, Any],
    replicates: Sequence[Mapping[str, Any]],
    cores: int,
    largest: int | None = None,
) -> Record:
    """Return the planned costs of a study on a disk of any size.

    Each operation is timed a few times at the sizes of the study, on random tokens and with
    `threads` threads. The arguments are those of `plan` and, for `largest`, of `measure_speed`.

    Raises:
        UserError: the tokenizer or the orders of the study are unreadable.

    """
    sizes, slots = Sizes(config), parallel_jobs(config, cores)
    own = stages(sizes)
    repeated = {other["study"]: stages(Sizes(other)) for other in replicates}
    studies = [own, *repeated.values()]
    speed = _machine_speed(sizes, studies, largest)
    entries = {stage.name: _entry(stage, speed, sizes) for stage in own}
    repeated_entries = {
        study: _total(_entry(stage, speed, sizes) for stage in repeated_stages)
        for study, repeated_stages in repeated.items()
    }
    total = _total([*entries.values(), *repeated_entries.values()])
    chain = max(_longest_chain(study, speed) for study in studies)
    return {
        "study": config["study"],
        "parameters": sizes.P,
        "threads": config["threads"],
        "cores": cores,
        "stages": entries,
        "replicates": repeated_entries,
        "total": {
            **total,
            "scratch_bytes": scratch_bytes(studies, slots),
            "hours": total["seconds"] / 3600,
            "wall_hours": max(total["seconds"] / slots, chain) / 3600,
        },
        "machine_bytes": psutil.virtual_memory().total,
        "assumed": assumed(sizes),
        "left_out": list(NOT_PLANNED),
        "provenance": {"versions": versions(), "machine": machine()},
    }


def _measured_predictability(results: Path) -> str | None:
    """Return the predictability of the study and what to expect, if it has been measured."""
    file = result_files.PREDICTABILITY
    path = file.path(results)
    if not path.exists():
        return None
    known = Predictability.of(read_json(path, file.rule))
    expected = what_to_expect(known.expectation, measured_studies())
    return "; ".join(filter(None, [known.as_text(), expected]))


def _machine_speed(
    sizes: Sizes, studies: Iterable[Sequence[Stage]], largest: int | None
) -> MachineSpeed:
    """Time every operation of the stages."""
    torch.set_num_threads(sizes.config["threads"])
    device = prepared(sizes.config["device"])
    operations = {
        operation
        for study in studies
        for stage in study
        for operation, n in stage.work.items()
        if n
    }

    def tokens(sequences: int) -> torch.Tensor:
        shape = (sequences, sizes.corpus.sequence_length)
        return torch.randint(sizes.vocabulary, shape).to(device)

    return measure_speed(
        operations,
        model=sizes.model(narrow=False, device=device),
        narrow=sizes.model(narrow=True, device=device),
        tokens=tokens,
        optimizer=sizes.optimizer,
        largest=largest,
    )


def assumed(sizes: Sizes) -> list[str]:
    """Return what the plan assumes beyond the configuration, one line each."""
    lines = [assumed_rank(sizes, path) for path in sizes.paths(lambda m: m.uses_curvature)]
    if sizes.expansion.anchors == "auto":
        lines.append(
            f"{sizes.anchors} anchors for {sizes.T} steps, {sizes.measured_anchors} of them "
            "measured, but `auto` may choose other numbers"
        )
    if sizes.config["device"] != "cpu":
        lines.append("each job has a whole GPU like the one of this machine")
    if sizes.domains_assumed:
        lines.append(f"{sizes.D} domains, because the text is not read; set corpus.domains")
    if sizes.config["curriculum"]:
        lines.append(
            "a local search ends after at most as many rounds as there are units; no two searches "
            "find the same order"
        )
    return lines


def _entry(stage: Stage, speed: MachineSpeed, sizes: Sizes) -> Record:
    """Return the entry of a stage in `plan.json`; `seconds` includes the start of its jobs."""
    seconds = _work_seconds(stage, speed)
    in_memory, in_files = vector_bytes(stage, sizes)
    passes = (
        speed.bytes[operation.kind] * operation.sequences
        for operation, n in stage.work.items()
        if n and operation.kind in speed.bytes and not operation.narrow
    )
    return {
        "jobs": stage.jobs,
        "orders": stage.orders,
        "counts": {kind: n for kind, n in stage.counts.items() if n},
        "retrainings": retrainings(stage, sizes),
        "bytes": stage.bytes,
        "peak_bytes": int(speed.base + max(passes, default=0) + in_memory),
        "vector_file_bytes": in_files,
        "work_seconds": seconds,
        "seconds": seconds + stage.jobs * speed.start,
        "files": list(stage.files),
    }


def retrainings(stage: Stage, sizes: Sizes) -> float:
    """Return the counted cost of a stage in retrainings of the window."""
    window = sizes.window
    unit = Retraining(window.steps * window.sequences_per_step, sizes.P)
    parameters = sizes.narrow_P if stage.narrow else sizes.P
    return unit.counted([{"counts": {OTHER: stage.counts}, "parameters": parameters}])


def _work_seconds(stage: Stage, speed: MachineSpeed) -> float:
    return float(sum(n * speed.seconds[operation] for operation, n in stage.work.items() if n))


def _total(entries: Iterable[Record]) -> Record:
    summands, counts = list(entries), Counter[str]()
    for entry in summands:
        counts.update(entry["counts"])
    kinds = ("jobs", "orders", "retrainings", "bytes", "work_seconds", "seconds")
    return {
        **{kind: sum(entry[kind] for entry in summands) for kind in kinds},
        "counts": dict(sorted(counts.items())),
        **{
            kind: max(entry[kind] for entry in summands)
            for kind in ("peak_bytes", "vector_file_bytes")
        },
    }


def _longest_chain(study: Sequence[Stage], speed: MachineSpeed) -> float:
    """Return the seconds of the longest chain of jobs that wait for each other."""
    done: dict[str, float] = {}
    for stage in study:
        before = max((done.get(name, 0.0) for name in stage.after), default=0.0)
        done[stage.name] = before + _work_seconds(stage, speed) / stage.jobs + speed.start
    return max(done.values())

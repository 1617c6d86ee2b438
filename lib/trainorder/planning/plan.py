"""What a study will cost, before anything of it runs: passes, bytes, memory and time."""

import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainorder.errors import UserError
from trainorder.evaluation.costs import read_costs, stage_costs
from trainorder.numerics.memory_budget import VECTORS_HELD
from trainorder.planning.machine_speed import Rates, calibrate
from trainorder.planning.sizes import FLOAT, Sizes
from trainorder.planning.stages import Stage, stages
from trainorder.storage.formats import size_text
from trainorder.storage.provenance import machine, versions
from trainorder.training.device import prepared

LEFT_OUT = (
    "time: reading and packing the text, validation, figures, explorer and report (about a minute "
    "in the default study), and waiting of one job for another",
    "bytes: what is not HDF5 (tables, figures, explorer, logs; about 20 MB in the default study), "
    "and the downloaded archives",
    "memory: what torch keeps of freed memory; of the text, all but its sequences; a GPU's own",
)

Record = dict[str, Any]


def plan(
    config: Mapping[str, Any], replicates: Sequence[Mapping[str, Any]], cores: int, results: Path
) -> Record:
    """Return the content of `plan.json`.

    A few steps are timed at the study's own sizes, on random tokens and with `threads` threads.

    Args:
        config: the whole checked configuration.
        replicates: those of the studies that repeat its search.
        cores: that jobs may use at once.
        results: the folder of the study, there or not.

    Raises:
        UserError: the study cannot fit on the disk; or its tokenizer or orders cannot be read.

    """
    sizes = Sizes(config)
    mine = stages(sizes)
    others = {other["study"]: stages(Sizes(other)) for other in replicates}
    every = [mine, *others.values()]
    slots = max(1, cores // config["threads"]) if config["device"] == "cpu" else 1
    check_disk(every, results, slots)
    check_temporary(every, sizes, results, slots)
    rates = _rates(sizes, every)
    entries = {stage.name: _entry(stage, rates, sizes) for stage in mine}
    again = {
        study: _total(_entry(stage, rates, sizes) for stage in made)
        for study, made in others.items()
    }
    total = _total([*entries.values(), *again.values()])
    chain = max(_longest(made, rates) for made in every)
    return {
        "study": config["study"],
        "parameters": sizes.P,
        "threads": config["threads"],
        "cores": cores,
        "stages": entries,
        "replicates": again,
        "total": {
            **total,
            "scratch_bytes": _scratch(every, slots),
            "hours": total["seconds"] / 3600,
            "wall_hours": max(total["seconds"] / slots, chain) / 3600,
        },
        "machine_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "assumed": assumed(sizes),
        "left_out": list(LEFT_OUT),
        "provenance": {"versions": versions(), "machine": machine()},
    }


def _rates(sizes: Sizes, every: Iterable[Sequence[Stage]]) -> Rates:
    """Time every unit of work that some stage has."""
    torch.set_num_threads(sizes.config["threads"])
    device = prepared(sizes.config["device"])
    units = {unit for made in every for stage in made for unit, n in stage.work.items() if n}

    def tokens(sequences: int) -> torch.Tensor:
        shape = (sequences, sizes.corpus.sequence_length)
        return torch.randint(sizes.vocabulary, shape).to(device)

    return calibrate(
        units,
        sizes.model(narrow=False, device=device),
        sizes.model(narrow=True, device=device),
        tokens,
        sizes.optimizer,
    )


def assumed(sizes: Sizes) -> list[str]:
    """Return what the configuration does not tell, and what is taken for it, one line each."""
    found = [f"the curvature is probed to its full rank of {sizes.curvature.rank}"]
    if sizes.expansion.anchors == "auto":
        found.append(f"{sizes.anchors} anchors of {sizes.T} steps, where `auto` may take others")
    if sizes.config["device"] != "cpu":
        found.append("a GPU like the one here, of which a job has all")
    if sizes.domains_assumed:
        found.append(f"{sizes.D} domains: the text is not read; name them in corpus.domains")
    if sizes.config["curriculum"]:
        found.append(
            "a local search ends after as many rounds as there are units, if not before; no two "
            "searches find the same order"
        )
    return found


def _entry(stage: Stage, rates: Rates, sizes: Sizes) -> Record:
    """Return what `plan.json` says of a stage; its seconds hold the starts of its jobs."""
    seconds = _work_seconds(stage, rates)
    held, in_files = vector_bytes(stage, sizes)
    passes = (
        rates.bytes[unit.kind] * unit.sequences
        for unit, n in stage.work.items()
        if n and unit.kind in rates.bytes and not unit.narrow
    )
    return {
        "jobs": stage.jobs,
        "counts": {kind: n for kind, n in stage.counts.items() if n},
        "unit_gradients": _unit_gradients(stage, sizes),
        "retrainings": stage.retrainings,
        "bytes": stage.bytes,
        "peak_bytes": int(rates.base + max(passes, default=0) + held),
        "vector_file_bytes": in_files,
        "work_seconds": seconds,
        "seconds": seconds + stage.jobs * rates.start,
        "files": list(stage.files),
    }


def vector_bytes(stage: Stage, sizes: Sizes) -> tuple[int, int]:
    """Return the bytes of a job's vectors in memory, and of those in files for a while."""
    vectors = int(stage.rows * FLOAT * sizes.P)
    held = min(vectors, int(VECTORS_HELD * FLOAT * sizes.P + sizes.config["memory_gb"] * 1e9))
    return held, vectors - held


def _unit_gradients(stage: Stage, sizes: Sizes) -> int:
    """Return the gradients of a stage in those of a unit, by how much text they are of."""
    counts = stage.counts
    single = counts.get("sequences", 0) + counts.get("goals", 0) * sizes.H
    return counts.get("gradients", 0) + round(single / sizes.S)


def _work_seconds(stage: Stage, rates: Rates) -> float:
    return float(sum(n * rates.seconds[unit] for unit, n in stage.work.items() if n))


def _total(entries: Iterable[Record]) -> Record:
    found, counts = list(entries), Counter[str]()
    for entry in found:
        counts.update(entry["counts"])
    kinds = ("jobs", "unit_gradients", "retrainings", "bytes", "work_seconds", "seconds")
    return {
        **{kind: sum(entry[kind] for entry in found) for kind in kinds},
        "counts": dict(sorted(counts.items())),
        **{
            kind: max(entry[kind] for entry in found)
            for kind in ("peak_bytes", "vector_file_bytes")
        },
    }


def _longest(made: Sequence[Stage], rates: Rates) -> float:
    """Return the seconds of the longest chain of jobs that wait for each other."""
    done: dict[str, float] = {}
    for stage in made:
        before = max((done.get(name, 0.0) for name in stage.after), default=0.0)
        done[stage.name] = before + _work_seconds(stage, rates) / stage.jobs + rates.start
    return max(done.values())


def _scratch(every: Sequence[Sequence[Stage]], slots: int) -> int:
    """Return the bytes that stages keep for a while, `slots` of them at once."""
    return sum(sorted(stage.scratch for made in every for stage in made)[-slots:])


def check_disk(every: Sequence[Sequence[Stage]], results: Path, slots: int) -> None:
    """Check that studies fit on the disk of a results folder, beside what else it holds.

    `slots` is how many jobs run at once.

    Raises:
        UserError: they do not.

    """
    made = [stage for study in every for stage in study]
    needed = sum(stage.bytes for stage in made) + _scratch(every, slots)
    disk = _existing(results)
    free = shutil.disk_usage(disk).free + _there(results)
    if needed > free:
        largest = max(made, key=lambda stage: stage.bytes)
        raise UserError(
            f"{results}: the study takes {size_text(needed)}, and its disk has "
            f"{size_text(free)} for it; most are of stage `{largest.name}` "
            f"({size_text(largest.bytes)}): lower window.units, model.hidden_size or "
            "expansion.anchors, or drop estimators"
        )


def _there(results: Path) -> int:
    return sum(path.stat().st_size for path in results.rglob("*") if path.is_file())


def _existing(folder: Path) -> Path:
    return next(path for path in [folder, *folder.resolve().parents] if path.exists())


def check_temporary(
    every: Sequence[Sequence[Stage]], sizes: Sizes, results: Path, slots: int
) -> None:
    """Check that what memory is not meant for fits in the folder for temporary files.

    Of `slots` jobs at once, those of one stage; beside the studies where they are on its disk.

    Raises:
        UserError: it does not.

    """
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    made = [stage for study in every for stage in study]
    if os.stat(folder).st_dev == os.stat(_existing(results)).st_dev:
        free += _there(results) - sum(stage.bytes for stage in made) - _scratch(every, slots)
    in_files, name = max(
        (vector_bytes(stage, sizes)[1] * min(slots, stage.jobs), stage.name) for stage in made
    )
    if in_files > free:
        raise UserError(
            f"{folder}: jobs of stage `{name}` keep {size_text(in_files)} of vectors there, and "
            f"it has {size_text(max(0, free))} beside results: set TMPDIR to a larger disk, raise "
            "memory_gb, or lower curvature.basis or window.units"
        )


def time_text(seconds: float) -> str:
    """Return hours as text."""
    return f"{seconds / 3600:.3g}" if seconds >= 1 else "-"


def table(record: Mapping[str, Any]) -> str:
    """Return the plan as a table of plain text, with what is assumed and left out below."""
    head = ["stage", "jobs", "gradients", "HVPs", "retrainings", "disk", "memory", "hours"]
    rows = [_row(name, entry) for name, entry in record["stages"].items()]
    rows += [_row(f"replicate {name}", entry) for name, entry in record["replicates"].items()]
    total = record["total"]
    lines = _aligned([head, *rows, _row("total", total)])
    disk = f"{size_text(total['bytes'])}, and {size_text(total['scratch_bytes'])} for a while"
    if total["vector_file_bytes"]:
        disk += f"; up to {size_text(total['vector_file_bytes'])} a job in TMPDIR (memory_gb)"
    lines += [
        "",
        f"About {total['hours']:.3g} processor hours: {total['wall_hours']:.3g} hours on "
        f"{record['cores']} cores, {record['threads']} threads a job. Disk: {disk}.",
        "Gradients are those of a unit, or of as much text.",
    ]
    if total["peak_bytes"] > record["machine_bytes"]:
        lines.append(
            f"WARNING: a job may need {size_text(total['peak_bytes'])} of memory; "
            f"this machine has {size_text(record['machine_bytes'])}"
        )
    lines += [f"assumed: {line}" for line in record["assumed"]]
    lines += [f"left out: {line}" for line in record["left_out"]]
    return "\n".join(lines)


def _row(name: str, entry: Mapping[str, Any]) -> list[str]:
    return [
        name,
        str(entry["jobs"]),
        f"{entry['unit_gradients']:,}",
        f"{entry['counts'].get('hvps', 0):,}",
        f"{entry['retrainings']:,}",
        size_text(entry["bytes"]),
        size_text(entry["peak_bytes"]),
        time_text(entry["seconds"]),
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


@dataclass(frozen=True)
class Pair:
    """A number that was planned, and what it came to."""

    planned: float
    actual: float

    @property
    def factor(self) -> float:
        """The factor, at least 1, by which they differ; infinite where only one of them is 0."""
        if self.planned == self.actual:
            return 1.0
        if not self.planned or not self.actual:
            return math.inf
        return max(self.planned / self.actual, self.actual / self.planned)


def compared(record: Mapping[str, Any], results: Path) -> dict[str, dict[str, Pair]]:
    """Return what was planned and what it came to, by stage, of a finished study.

    Of each stage every count, its `seconds` (of the work, from after the imports), the `bytes` of
    its files and the `peak_bytes` of memory; of the stage `total` their sums, and the largest peak.

    Args:
        record: the content of `plan.json`.
        results: the folder of the study.

    Raises:
        UserError: the study is not finished, or a cost record is not readable.

    """
    made = stage_costs(read_costs(sorted(results.glob("costs/**/*.json"))), 1.0, {})
    found = {}
    for name, entry in record["stages"].items():
        if name not in made:
            raise UserError(f"{results}/costs/{name}: missing: the study is not that of the plan")
        found[name] = _pairs(entry, made[name], results)
    return {**found, "total": _summed(list(found.values()))}


def _pairs(entry: Record, made: Record, results: Path) -> dict[str, Pair]:
    planned, actual = entry["counts"], made["counts"]
    files = {path for pattern in entry["files"] for path in results.glob(pattern)}
    return {
        **{
            kind: Pair(planned.get(kind, 0), actual.get(kind, 0))
            for kind in sorted({*planned, *actual})
        },
        "seconds": Pair(entry["work_seconds"], made["wall_seconds"]),
        "bytes": Pair(entry["bytes"], sum(path.stat().st_size for path in files)),
        "peak_bytes": Pair(entry["peak_bytes"], made["peak_bytes"]),
    }


def _summed(found: Sequence[Mapping[str, Pair]]) -> dict[str, Pair]:
    total = {}
    for kind in dict.fromkeys(kind for pairs in found for kind in pairs):
        pairs = [entry[kind] for entry in found if kind in entry]
        add = max if kind == "peak_bytes" else sum
        total[kind] = Pair(add(p.planned for p in pairs), add(p.actual for p in pairs))
    return total

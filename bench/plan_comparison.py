"""Compares a plan with the costs of the finished study."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainorder.errors import UserError
from trainorder.evaluation.costs import read_costs, stage_totals


@dataclass(frozen=True)
class Pair:
    """A planned number and the actual one."""

    planned: float
    actual: float

    @property
    def factor(self) -> float:
        """The factor, at least 1, by which they differ; infinite if exactly one of them is 0."""
        if self.planned == self.actual:
            return 1.0
        if not self.planned or not self.actual:
            return math.inf
        return max(self.planned / self.actual, self.actual / self.planned)


def compare_with_study(record: Mapping[str, Any], results: Path) -> dict[str, dict[str, Pair]]:
    """Return planned and actual numbers by stage and kind.

    Each stage has all its counts, `seconds` (after the imports), `bytes` of its files and
    `peak_bytes` of memory. The stage `total` has the sums, and the largest peak.

    Args:
        record: the content of `plan.json`.
        results: the folder of the finished study.

    Raises:
        UserError: a stage has no cost record, or a cost record is not readable.

    """
    jobs = read_costs(sorted(results.glob("costs/**/*.json")))
    pairs = {}
    for name, entry in record["stages"].items():
        if name not in jobs:
            raise UserError(
                f"{results}/costs/{name}: no cost record; finish the study that was planned"
            )
        pairs[name] = _pairs(entry, stage_totals(jobs[name]), results)
    return {**pairs, "total": _total(list(pairs.values()))}


def _pairs(entry: Mapping[str, Any], cost: Mapping[str, Any], results: Path) -> dict[str, Pair]:
    planned, actual = entry["counts"], cost["counts"]
    files = {path for pattern in entry["files"] for path in results.glob(pattern)}
    return {
        **{
            kind: Pair(planned.get(kind, 0), actual.get(kind, 0))
            for kind in sorted({*planned, *actual})
        },
        "orders": Pair(entry["orders"], cost["orders"]),
        "seconds": Pair(entry["work_seconds"], cost["wall_seconds"]),
        "bytes": Pair(entry["bytes"], sum(path.stat().st_size for path in files)),
        "peak_bytes": Pair(entry["peak_bytes"], cost["peak_bytes"]),
    }


def _total(stages: Sequence[Mapping[str, Pair]]) -> dict[str, Pair]:
    total = {}
    for kind in dict.fromkeys(kind for pairs in stages for kind in pairs):
        pairs = [entry[kind] for entry in stages if kind in entry]
        add = max if kind == "peak_bytes" else sum
        total[kind] = Pair(add(p.planned for p in pairs), add(p.actual for p in pairs))
    return total

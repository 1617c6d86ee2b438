"""The plan of a finished study against its actual costs, stage by stage.

python -m bench.plan results/default     # after the study and `snakemake plan`
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.config_hash import config_text
from bench.page import number, table
from bench.plan_comparison import Pair, compare_with_study
from bench.studies import environment_text, say
from trainorder.errors import UserError
from trainorder.evaluation.result_files import VALIDATION
from trainorder.storage.formats import read_json, size_text, write_text

OUTPUT = Path("docs/measured/plan.md")
WITHIN = 1.5  # the largest accepted factor
SMALL = {"seconds": 3.0, "bytes": 1e6, "peak_bytes": 1e9}  # factors of smaller numbers are ignored


def deviations(comparison: Mapping[str, Mapping[str, Pair]]) -> list[str]:
    """Return the numbers that differ by more than `WITHIN`, one line each."""
    return [
        f"{stage}: {kind}: planned {number(pair.planned)}, actual {number(pair.actual)}"
        for stage, pairs in comparison.items()
        for kind, pair in pairs.items()
        if pair.factor > WITHIN
        and (kind != "seconds" or pair.planned)  # some work is not timed; the page lists it
        and max(pair.planned, pair.actual) >= SMALL.get(kind, 0)
    ]


def markdown(
    record: Mapping[str, Any],
    comparison: Mapping[str, Mapping[str, Pair]],
    config: Mapping[str, Any],
) -> str:
    """Return the page, with a row for each stage: planned and actual.

    Args:
        record: the content of `plan.json`.
        comparison: planned and actual numbers by stage and kind.
        config: the whole configuration of the study.

    """
    head = ["stage", "counts", "seconds", "factor of seconds", "disk", "memory"]
    lines = deviations(comparison)
    verdict = "These numbers do not agree:" if lines else "All numbers agree."
    parts = [
        "# Planned and actual costs",
        f"`snakemake plan` of study `{record['study']}` ({record['parameters']:,} parameters, "
        f"{record['threads']} threads per job) against the costs that its jobs wrote. Each cell "
        "is planned / actual. Seconds are summed over the jobs of a stage and do not include "
        "imports. Made by "
        f"`python -m bench.plan results/{record['study']}`. "
        f"{environment_text(record['provenance'])}; "
        f"{config_text(config)}.",
        table(head, [_row(stage, pairs) for stage, pairs in comparison.items()]),
        f"Planned and actual numbers should agree within a factor of {WITHIN:g}: counts, seconds "
        f"above {SMALL['seconds']:g} s, disk above {size_text(SMALL['bytes'])} and memory above "
        f"{size_text(SMALL['peak_bytes'])}. The costs of a step of `fut` and `fut++`, and "
        "of a byte of the store, were fitted to this study on two machines, so the agreement is "
        f"partly a fit. {verdict}",
    ]
    if lines:
        parts.append("\n".join(f"* {line}" for line in lines))
    parts.append("\n".join(f"* assumed: {line}" for line in record["assumed"]))
    parts.append("\n".join(f"* not planned: {line}" for line in record["left_out"]))
    return "\n\n".join(parts) + "\n"


def _row(stage: str, pairs: Mapping[str, Pair]) -> list[str]:
    sizes = ("seconds", "bytes", "peak_bytes")
    other = [
        f"{kind} {pair.planned:,} / {pair.actual:,}"
        for kind, pair in pairs.items()
        if kind not in sizes and pair.factor > 1
    ]
    seconds = pairs["seconds"]
    return [
        f"`{stage}`",
        "; ".join(other) or "exact",
        f"{number(seconds.planned)} / {number(seconds.actual)}",
        number(seconds.factor),
        *(_sizes(pairs[kind]) for kind in ("bytes", "peak_bytes")),
    ]


def _sizes(pair: Pair) -> str:
    return f"{size_text(pair.planned)} / {size_text(pair.actual)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare and write the page; the exit status is 1 if a number is beyond the factor."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("results", type=Path, help="the folder of a finished study")
    results = parser.parse_args(arguments).results
    try:
        record = read_json(results / "plan.json", "plan")
        comparison = compare_with_study(record, results)
        config = read_json(VALIDATION.path(results), VALIDATION.rule)["provenance"]["config"]
    except UserError as error:
        sys.exit(f"error: {error}")
    write_text(OUTPUT, markdown(record, comparison, config))
    for line in deviations(comparison):
        say(line)
    say(f"{OUTPUT}: written")
    if deviations(comparison):
        sys.exit(1)


if __name__ == "__main__":
    main()

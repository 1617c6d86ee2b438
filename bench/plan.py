"""The plan of a finished study against what it came to, stage by stage.

python -m bench.plan results/default     # after `snakemake plan`, before the study or after it
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.page import number, table
from bench.studies import made_text, say
from trainorder.errors import UserError
from trainorder.planning.plan_comparison import Pair, compare_with_study
from trainorder.storage.formats import read_json, size_text, write_text

OUTPUT = Path("docs/measured/plan.md")
WITHIN = 1.5  # the factor by which they may differ
SMALL = {"seconds": 3.0, "bytes": 1e6, "peak_bytes": 1e9}  # in a stage of less it says nothing


def wrong(found: Mapping[str, Mapping[str, Pair]]) -> list[str]:
    """Return what differs by more than `WITHIN`, one line each."""
    return [
        f"{stage}: {kind}: planned {number(pair.planned)}, came to {number(pair.actual)}"
        for stage, pairs in found.items()
        for kind, pair in pairs.items()
        if pair.factor > WITHIN
        and (kind != "seconds" or pair.planned)  # what is not timed is said to be left out
        and max(pair.planned, pair.actual) >= SMALL.get(kind, 0)
    ]


def markdown(record: Mapping[str, Any], found: Mapping[str, Mapping[str, Pair]]) -> str:
    """Return the page: a row for each stage, planned and actual."""
    head = ["stage", "counts", "seconds: planned", "actual", "factor", "disk: planned", "actual"]
    head += ["memory: planned", "actual"]
    off = wrong(found)
    parts = [
        "# What was planned, and what it came to",
        f"`snakemake plan` of study `{record['study']}` ({record['parameters']:,} parameters, "
        f"{record['threads']} threads a job) against the costs that its jobs wrote. Seconds are "
        "of all jobs of a stage, from after their imports. Made by `python -m bench.plan "
        f"results/{record['study']}`. {made_text(record['provenance'])}.",
        table(head, [_row(stage, pairs) for stage, pairs in found.items()]),
        f"All that is not left out below is to be within a factor of {WITHIN:g}: counts, and "
        f"seconds from {SMALL['seconds']:g} s, disk from {size_text(SMALL['bytes'])}, memory from "
        f"{size_text(SMALL['peak_bytes'])} on. {'Not so:' if off else 'It is.'} What a step of "
        "`fut` and `fut++` and a byte of the store take, in what is timed, was set on this study "
        "of two machines: there the agreement is partly a fit.",
    ]
    if off:
        parts.append("\n".join(f"* {line}" for line in off))
    parts.append("\n".join(f"* assumed: {line}" for line in record["assumed"]))
    parts.append("\n".join(f"* left out: {line}" for line in record["left_out"]))
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
        number(seconds.planned),
        number(seconds.actual),
        number(seconds.factor),
        *(size_text(value) for value in (pairs["bytes"].planned, pairs["bytes"].actual)),
        *(size_text(value) for value in (pairs["peak_bytes"].planned, pairs["peak_bytes"].actual)),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare, and write the page; status 1 if something is off."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("results", type=Path, help="the folder of a finished study")
    results = parser.parse_args(arguments).results
    try:
        record = read_json(results / "plan.json", "plan")
        found = compare_with_study(record, results)
    except UserError as error:
        sys.exit(f"error: {error}")
    write_text(OUTPUT, markdown(record, found))
    for line in wrong(found):
        say(line)
    say(f"{OUTPUT}: written")
    if wrong(found):
        sys.exit(1)


if __name__ == "__main__":
    main()

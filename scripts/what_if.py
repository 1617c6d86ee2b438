"""Estimates orders of the user's own on a finished study."""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainorder.evaluation.verdict import MAIN_METRIC
from trainorder.orders.user_files import read_orders
from trainorder.storage.formats import write_csv
from trainorder.study import Estimate, Study
from trainorder.workflow.job import Job, run

HEADER = ("estimator", "verdict", "order", "metric", "value", "low", "high", "beyond")


def main(job: Job) -> None:
    study = Study.read(Path(job.input["orders"]).parent)
    orders = read_orders(job.input["custom"], study.window)
    found = [replace(made, parameters=None) for made in study.estimates(orders)]
    write_csv(job.output["what_if"], HEADER, rows(found))
    lines = [*table(found, study.results.validation["reference"][MAIN_METRIC])]
    lines.append(f"All metrics: {job.output['what_if']}")
    # What was asked for is for who asked, on the terminal; a step's own prints go to its log.
    print("\n".join(lines), file=sys.__stdout__)


def rows(found: Sequence[Estimate]) -> Iterator[Sequence[Any]]:
    """Yield the rows of the CSV: an order and a metric each."""
    for made in found:
        for metric, value in made.values.items():
            beyond = None if value.beyond is None else int(value.beyond)
            ends = (value.low, value.high)
            yield made.estimator, made.verdict, made.order, metric, value.value, *ends, beyond


def table(found: Sequence[Estimate], reference: float) -> Iterator[str]:
    """Yield the lines of a short table, of the main metric, with what may be done with it."""
    width, places = max(len(made.order) for made in found), decimals(found)
    reached = f"{reference:.{places}f} after the reference order, retrained"
    yield f"{MAIN_METRIC}, in nats per token; {reached}"
    for made in found:
        value = made.values[MAIN_METRIC]
        missing = value.low is None or value.high is None
        ends = "no interval" if missing else f"[{value.low:.{places}f}, {value.high:.{places}f}]"
        note = "  beyond what was calibrated" if value.beyond else ""
        yield f"{made.order:{width}}  {value.value:.{places}f}  {ends}{note}"
    yield f"{found[0].estimator}: {found[0].verdict}. {found[0].advice}"


def decimals(found: Sequence[Estimate]) -> int:
    """Return how many places show the widest interval to two digits; four at least."""
    values = [made.values[MAIN_METRIC] for made in found]
    widths = [v.high - v.low for v in values if v.low is not None and v.high is not None]
    widest = max([0.0, *widths])
    return max(4, 1 - math.floor(math.log10(widest))) if widest else 4


run(main, globals().get("snakemake"))

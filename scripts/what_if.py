"""Estimates a user's own orders on a finished study."""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainorder.data.metrics import MAIN_METRIC
from trainorder.orders.order import HELD_BACK
from trainorder.orders.user_files import read_orders
from trainorder.storage.formats import write_csv
from trainorder.study import Estimate, Study
from trainorder.workflow.job import Job, run

HEADER = ("estimator", "verdict", "order", "metric", "raw", "value", "low", "high", "beyond")


def main(job: Job) -> None:
    study = Study.read(Path(job.input["orders"]).parent)
    orders = read_orders(job.input["custom"], study.window)
    estimates = [replace(estimate, parameters=None) for estimate in study.estimates(orders)]
    write_csv(job.output["what_if"], HEADER, rows(estimates))
    validation = study.results.validation
    spread = validation["spread"][MAIN_METRIC].get(HELD_BACK, {}).get("std")
    lines = [*table(estimates, validation["reference"][MAIN_METRIC], spread)]
    lines.append(f"All metrics: {job.output['what_if']}")
    # The table goes to the terminal of the user; other prints of a job go to its log.
    print("\n".join(lines), file=sys.__stdout__)


def rows(estimates: Sequence[Estimate]) -> Iterator[Sequence[Any]]:
    """Yield the rows of the CSV file, one for each order and metric."""
    for estimate in estimates:
        for metric, value in estimate.values.items():
            beyond = None if value.beyond is None else int(value.beyond)
            yield (
                *(estimate.estimator, estimate.verdict, estimate.order, metric),
                *(value.raw, value.value, value.low, value.high, beyond),
            )


def table(estimates: Sequence[Estimate], reference: float, spread: float | None) -> Iterator[str]:
    """Yield the lines of a short table of the main metric, with the verdict below it.

    Args:
        estimates: of the orders.
        reference: the true metric of the reference order.
        spread: the standard deviation of the true metric over held-back random orders, if known.

    """
    width = max(len(estimate.order) for estimate in estimates)
    places = decimals(estimates)
    yield (
        f"{MAIN_METRIC} in nats per token, its interval, and the difference from the reference "
        f"order, which reaches {reference:.{places}f} (retrained)"
    )
    for estimate in estimates:
        value = estimate.values[MAIN_METRIC]
        if value.low is None or value.high is None:
            interval = "no interval"
        else:
            interval = f"[{value.low:.{places}f}, {value.high:.{places}f}]"
        difference = value.value - reference
        apart = f"{difference:+.{places}f}"
        if spread:
            apart += f" ({difference / spread:+.1f} spreads of random orders)"
        note = "  outside the calibrated range" if value.beyond else ""
        yield f"{estimate.order:{width}}  {value.value:.{places}f}  {interval}  {apart}{note}"
    yield f"{estimates[0].estimator}: {estimates[0].verdict}. {estimates[0].advice}"


def decimals(estimates: Sequence[Estimate]) -> int:
    """Return the decimals that show the widest interval with two digits; at least four."""
    values = [estimate.values[MAIN_METRIC] for estimate in estimates]
    widths = [v.high - v.low for v in values if v.low is not None and v.high is not None]
    widest = max([0.0, *widths])
    return max(4, 1 - math.floor(math.log10(widest))) if widest else 4


run(main, globals().get("snakemake"))

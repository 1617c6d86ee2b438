"""The summary of a finished study on the terminal: `python -m trainorder.workflow.summary FOLDER`.

FOLDER holds the results of the study, for instance `results/default`.
"""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trainorder.config.estimator_names import SCREENING
from trainorder.data.metrics import MAIN_METRIC
from trainorder.errors import UserError
from trainorder.evaluation import result_files
from trainorder.evaluation.estimate_cost import estimate_cost, retrainings_text
from trainorder.evaluation.interval_coverage import coverage_text
from trainorder.evaluation.result_files import ResultFile
from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import MIN_CALIBRATION, study_verdict
from trainorder.orders.order import HELD_BACK
from trainorder.workflow.source import user_command


class Row(NamedTuple):
    """A line of the summary."""

    label: str
    text: str


def summary(results: Results, folder: Path) -> list[Row]:
    """Return the lines of the summary; one without a value says why.

    They are the same for every study, except that of an existing run.

    Args:
        results: of the study.
        folder: of the results.

    """
    validation = results.validation
    best, selected = validation["best_estimator"], validation["selected_estimator"]
    others = {"most accurate": best, "fastest": fastest_estimator(results)}
    return [
        Row("study", str(validation["study"])),
        Row("verdict", study_verdict(validation)),
        *([Row("existing run", results.existing_run)] if results.existing_run else []),
        Row("recommended", _estimator(results, selected)),
        *(
            Row(label, "the recommended one" if name == selected else _estimator(results, name))
            for label, name in others.items()
        ),
        Row("intervals", _intervals(results, selected)),
        Row("predictability", results.predictability.as_text()),
        Row("spread", _spread(validation)),
        Row("best order", _best_order(results)),
        Row("report", _written(result_files.REPORT, folder)),
        Row("explorer", _explorer(results, folder)),
    ]


def fastest_estimator(results: Results) -> str:
    """Return the estimator with the lowest cost per order, of those with the study's verdict.

    Of estimators that replay without the model, it is the one with the fewest seconds. It is the
    one for thousands of orders, whatever its precompute costs.
    """
    verdict = results.validation["verdict"]

    def cost(name: str) -> tuple[float, float]:
        spent = results.score(name)["cost"]
        each, seconds = spent["per_order_retrainings"], spent["seconds_per_order"]
        return (math.inf, math.inf) if each is None else (float(each), float(seconds))

    best = str(results.validation["best_estimator"])
    same = [name for name in results.estimators if results.score(name)["verdict"] == verdict]
    return min([best, *same], key=cost)


def _estimator(results: Results, name: str) -> str:
    """Return an estimator with its cost in retrainings of the window, and its seconds."""
    cost = estimate_cost(results.validation, name)
    if cost is None:
        return f"{name}: its cost is unknown, because it ran on no order"
    seconds = results.score(name)["cost"]["seconds_per_order"]
    return (
        f"{name}: {retrainings_text(cost.before)} retrainings before the first estimate, then "
        f"{retrainings_text(cost.each)} per order ({seconds:.2g} s)"
    )


def _intervals(results: Results, name: str) -> str:
    """Return how often the intervals contain the truth of held-back random orders."""
    aimed = results.coverage
    covered = results.score(name)["coverage"][MAIN_METRIC].get(HELD_BACK)
    if covered is not None and covered["value"] is not None:
        return f"{name}: {coverage_text(covered, aimed)}"
    recalibration = results.recalibration(name)
    if recalibration.left_out is None:
        return (
            f"none: {name} needs finite estimates of at least {MIN_CALIBRATION} calibration orders"
        )
    if recalibration.rank is None:
        had = len(recalibration.left_out.residual)
        return (
            f"none: {had} calibration orders are too few for intervals of {aimed:.0%}; raise "
            "`orders.calibration`"
        )
    return f"not checked: {name} ran on no held-back random order"


def _spread(validation: Any) -> str:
    spread = validation["spread"][MAIN_METRIC].get(HELD_BACK)
    if not spread or spread["std"] is None:
        return "unknown: fewer than two random orders"
    return (
        f"random orders differ by {spread['std']:.2g} nats per token (standard deviation of "
        f"{spread['n']} retrained orders)"
    )


def _best_order(results: Results) -> str:
    """Return the winner of the search, and its gain over random orders."""
    curriculum = results.curriculum
    if curriculum is None:
        if results.validation["provenance"]["config"].get("curriculum"):
            return f"not searched yet; `{user_command('curriculum')}` searches"
        return "not searched; set `curriculum` in the configuration"
    winner = curriculum["winner"]
    gains = curriculum["gains"]
    text = f"{winner}: {_gain(gains['random_mean'])} better than the mean random order"
    equal = gains.get("same_compute")
    if equal is None or equal["value"] is None:
        return f"{text}; the gain at equal compute is unknown"
    side = "better" if equal["value"] >= 0 else "worse"
    return (
        f"{text}; {abs(equal['value']):.2g} {side} than the best of as many random orders as its "
        "compute would retrain"
    )


def _gain(gain: Any) -> str:
    if gain["in_spreads"] is None:
        return f"{gain['value']:.2g} nats"
    return f"{gain['value']:.2g} nats ({gain['in_spreads']:.2g} spreads)"


def _written(file: ResultFile, folder: Path) -> str:
    path = file.path(folder)
    return str(path) if path.exists() else f"not written; `{user_command(file.rule)}` writes it"


def _explorer(results: Results, folder: Path) -> str:
    file = result_files.EXPLORER
    if SCREENING in results.estimators or file.path(folder).exists():
        return _written(file, folder)
    return f"none: it needs the estimator `{SCREENING}`"


def print_summary(rows: Sequence[Row]) -> None:
    """Print the summary: a table on a terminal, plain lines elsewhere."""
    if not sys.stdout.isatty():
        width = max(len(row.label) for row in rows)
        for row in rows:
            print(f"{row.label:{width}}  {row.text}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(row.label, Text(row.text))
    Console().print(table)


def main(arguments: Sequence[str]) -> None:
    """Print the summary of the study in the folder that the command line names."""
    if len(arguments) != 1:
        sys.exit("usage: python -m trainorder.workflow.summary results/STUDY")
    folder = Path(arguments[0])
    try:
        print_summary(summary(Results.read(folder), folder))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""The measured page of `bench.published`: perplexities, costs, curricula, maps and losses."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.applications_page import maps_agreement
from bench.grid_page import measured_on
from bench.page import interval, missing, number, short_number, table
from trainorder.config.estimator_names import SCREENING
from trainorder.curriculum.fresh_gains import shortfall
from trainorder.storage.formats import size_text

Record = Mapping[str, Any]

FIGURES = ("loss_along_window", "curriculum", "memorization")  # of the study with applications
SEARCH_PARTS = {
    "propose": "search, estimates included",
    "searched": "retraining the best orders",
    "heuristic": "retraining the heuristic orders",
}


def markdown(record: Record) -> str:
    """Return the page from the content of `published.json`."""
    cells = record["cells"]
    parts = [
        "# The published experiments in small",
        "Estimates of the published method (`fut`, `fut++`) and of `corrected`, whose size the "
        "[ladder](../method.md#the-ladder) selects, by length of the window, T steps. The model, "
        "text and batch are those of the default study. Made by `make published`, which can be "
        f"interrupted. Its jobs took {_minutes(cells)} of one core. "
        "[published.json](published.json) contains the numbers and the whole configurations. "
        "[The published study and this one](../published.md) says what they answer.",
        *missing(record),
        "## Absolute difference of perplexity",
        perplexities(cells),
        "## Costs",
        costs(cells),
        "## Loss after every step",
        stepwise(cells),
        *(part for cell in cells if "curriculum" in cell for part in _applications(cell)),
        measured_on(cells),
    ]
    return "\n\n".join(parts) + "\n"


def _minutes(cells: Sequence[Record]) -> str:
    """Return how long the jobs of all windows took together."""
    return f"{sum(cell['job_seconds'] for cell in cells) / 60:.0f} minutes"


def perplexities(cells: Sequence[Record]) -> str:
    """Return the table of perplexity errors, by window and estimator."""
    rows = []
    for cell in cells:
        truth = cell["perplexity"]
        for name, entry in cell["estimators"].items():
            rows.append(
                [
                    str(cell["steps"]),
                    f"{truth['mean']:.3f} ± {number(truth['std'])}",
                    f"`{name}`, {entry['verdict']}",
                    or_diverged(entry["perplexity_error"]),
                    or_diverged(entry["recalibrated_perplexity_error"]),
                    number(entry["relative_error"]),
                    interval(entry["order_lds"]),
                ]
            )
    head = ["T", "true perplexity", "estimator", "difference", "recalibrated"]
    return (
        f"{table([*head, 'relative error', 'order-LDS [95 %]'], rows)}\n\n"
        "True perplexity: mean and standard deviation over held-back random orders "
        f"(n = {_counts(cells)}). Difference: the mean over these orders of \\|estimated − true "
        "perplexity\\|, raw as the published study reports it, and after "
        "[recalibration](../method.md#recalibration). A small difference says little: `constant`, "
        "for which the order has no effect, is right to the spread of the orders. The relative "
        "error is 1 for that baseline."
    )


def or_diverged(value: float | None) -> str:
    """Return an error as text; without a number, the estimate diverged."""
    return "diverged" if value is None else number(value)


def _counts(cells: Sequence[Record]) -> str:
    return ", ".join(dict.fromkeys(str(cell["perplexity"]["n"]) for cell in cells))


def costs(cells: Sequence[Record]) -> str:
    """Return the table of costs, by window and estimator."""
    rows = [
        [
            str(cell["steps"]),
            f"`{name}`",
            number(entry["precompute_retrainings"]),
            short_number(entry["precompute_seconds"]),
            f"{number(entry['per_order_retrainings'])} "
            f"({short_number(entry['seconds_per_order'])} s)",
            size_text(entry["peak_bytes"]),
            size_text(entry["bytes"]),
        ]
        for cell in cells
        for name, entry in cell["estimators"].items()
    ]
    head = ["T", "estimator", "precompute, retrainings", "seconds", "per order, retrainings"]
    each = ", ".join(f"{cell['retraining_seconds']:.2g} s at T = {cell['steps']}" for cell in cells)
    return (
        f"{table([*head, 'memory', 'stored'], rows)}\n\nCosts are counted in "
        f"[retrainings](../method.md#cost) of the same window; one takes {each}. The table of the "
        "published method has a gradient for each step and unit, so its precompute and its bytes "
        "grow with T²; at T = 64 and 128 it was computed at 32 steps."
    )


def stepwise(cells: Sequence[Record]) -> str:
    """Return the table of mean absolute errors of the loss at four steps of the window."""
    rows = []
    for cell in cells:
        steps = [cell["steps"] * part // 4 for part in (1, 2, 3, 4)]
        for name in followed_estimators(cell["stepwise"]):
            errors = [mean_error(cell["stepwise"], name, step) for step in steps]
            rows.append([str(cell["steps"]), f"`{name}`", *map(or_diverged, errors)])
    head = ["T", "estimator", "T/4", "T/2", "3T/4", "T"]
    picture = (
        "![Estimated and true loss after every step, T = 32]"
        "(../figures/published-loss_along_window.png)\n\n"
    )
    return (
        f"{picture if any('curriculum' in cell for cell in cells) else ''}"
        f"{table(head, rows)}\n\n"
        "Mean absolute error of the raw held-out loss (nats per token) after a part of the window, "
        "over the orders that were followed at every step: random and structured ones."
    )


def followed_estimators(orders: Record) -> list[str]:
    """Return the estimators that estimate the loss at every step of a followed order."""
    return list(dict.fromkeys(name for order in orders.values() for name in order["estimated"]))


def mean_error(orders: Record, name: str, step: int) -> float | None:
    """Return the mean over followed orders of the absolute error after `step` steps.

    It is None if an estimate is not finite.
    """
    pairs = [
        (order["estimated"][name][step], order["true"][step])
        for order in orders.values()
        if name in order["estimated"]
    ]
    if not pairs or any(estimated is None for estimated, _ in pairs):
        return None
    return float(sum(abs(estimated - true) for estimated, true in pairs) / len(pairs))


def _applications(cell: Record) -> list[str]:
    return [
        "## A downstream task",
        task(cell),
        "## Curricula",
        "![Searched and heuristic orders, retrained](../figures/published-curriculum.png)",
        curricula(cell),
        search_costs(cell),
        "## Memorization",
        "![Maps of positions, estimated beside true](../figures/published-memorization.png)",
        maps_agreement(cell["agreement"])
        + "\n\nEstimated and true change over a stratified random sample of cells (unit, step), "
        "each retrained; squared errors in squared nats per token.",
    ]


def task(cell: Record) -> str:
    """Return the tables of the multiple-choice task: how it is ranked, and what a search does."""
    record = cell["task"]
    rows = [
        [
            f"`{metric}`",
            f"{number(one['mean'])} ± {number(one['std'])}",
            *(interval(scores[metric]) for scores in record["order_lds"].values()),
        ]
        for metric, one in record["spread"].items()
    ]
    head = ["metric", "random orders", *(f"order-LDS of `{name}`" for name in record["order_lds"])]
    return (
        f"{table(head, rows)}\n\n[Multiple choice](../method.md#multiple-choice) from held-out "
        "text: mean and standard deviation over held-back random orders, and how well estimates "
        f"rank these orders [95 %].\n\n{_task_of_orders(record)}"
    )


def _task_of_orders(record: Record) -> str:
    """Return the table of the task after each retrained order of the search."""
    metrics = [metric for metric in record["spread"] if "/" not in metric]
    rows = [
        [
            f"`{name}`",
            *(
                f"{number(values[metric])} "
                f"({(values[metric] - one['mean']) / one['std']:+.1f} spreads)"
                for metric in metrics
                for one in [record["spread"][metric]]
            ),
        ]
        for name, values in record["orders"].items()
    ]
    return (
        f"{table(['retrained order', *(f'`{metric}`' for metric in metrics)], rows)}\n\n"
        "In brackets: the distance from the mean random order; above 0, the task is solved better. "
        "The search lowered the held-out loss and did not see the task."
    )


def curricula(cell: Record) -> str:
    """Return the table of the retrained orders, the best one first, with their gains."""
    content = cell["curriculum"]
    random = content["random"]
    retrained = sorted(
        (order for order in content["orders"] if order["true"] is not None),
        key=lambda order: float(order["true"]),
    )
    rows = [
        [
            f"`{order['name']}`",
            "search" if order["kind"] == "searched" else "heuristic",
            f"{_estimate(order):.4f}",
            f"{order['true']:.4f}",
            number(random["mean"] - order["true"]),
            number((random["mean"] - order["true"]) / random["std"]),
        ]
        for order in retrained
    ]
    head = ["order", "from", "estimated loss", "retrained", "gain", "in spreads"]
    return (
        f"{table(head, rows)}\n\nGains are those over the mean of the "
        f"{cell['perplexity']['n']} held-back random orders ({random['mean']:.4f} nats per token), "
        "also in their standard deviations. Over the expected best of "
        f"{content['compute']['random_orders_for_it']} random orders, which the same compute "
        "retrains, the winner gains "
        f"{number(content['gains']['same_compute']['in_spreads'])} spreads{_short(content)}."
    )


def _short(curriculum: Record) -> str:
    """Return that the baseline is of fewer orders than the compute retrains, if it is."""
    line = shortfall(curriculum["compute"])
    return f"; {line}" if line else ""


def _estimate(order: Record) -> float:
    """Return the estimate of the last estimator, which judges the best orders of the search."""
    estimate = list(order["estimates"].values())[-1]
    return float(estimate["raw"] if estimate["value"] is None else estimate["value"])


def search_costs(cell: Record) -> str:
    """Return the table of what the search cost, beside the random orders of the same compute."""
    parts, compute = cell["search_costs"], cell["curriculum"]["compute"]
    names = {name: f"precompute of `{name}`, and choice of its size" for name in parts}
    names[SCREENING] = f"precompute of `{SCREENING}`"
    names |= SEARCH_PARTS
    rows = [_cost_row(names[name], part) for name, part in parts.items()]
    count = compute["random_orders_for_it"]
    alone = {
        "seconds": count * cell["retraining_seconds"],
        "peak_bytes": parts["searched"]["peak_bytes"],
        "bytes": 0,
        "retrainings": count,
    }
    rows.append(_cost_row(f"instead: retraining {count} random orders", alone))
    return (
        f"{table(['part', 'time (s)', 'memory', 'stored', 'retrainings'], rows)}\n\n"
        "The heuristic orders are retrained for comparison; the search does not need them, so they "
        "are not in the last row."
    )


def _cost_row(text: str, part: Record) -> list[str]:
    return [
        text,
        short_number(part["seconds"]),
        size_text(part["peak_bytes"]),
        size_text(part["bytes"]) if part["bytes"] else "–",
        number(part["retrainings"]),
    ]

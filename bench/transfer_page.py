"""The page of the studies that show whether estimates transfer."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.corpora import CORPORA, packages
from bench.grid_page import measured_on
from bench.page import interval, missing, number, table
from bench.targets import estimators, missed, selected, target_text
from trainorder.figures.style import rank_text

Record = Mapping[str, Any]

OTHER_CORPORA = "other corpora"  # the group of studies of which the page names the worst one
TITLE = "# Do estimates transfer?"
TEXT = (
    "The default study, changes of it, and other corpora, each with the estimator `corrected` "
    "alone: it needs the reference run, one more retraining and the calibration orders, and no "
    "table or curvature. The [ladder](../method.md#the-ladder) selects its size. Nothing was tuned "
    "on these studies. `growth` is the factor by which a small change of the parameters grows over "
    "the window ([predictability](../predictability.md)). Made by `make transfer`; "
    "[transfer.json](transfer.json) has all numbers and the whole configurations."
)
GROWTH_FIGURE = (
    "![Order-LDS and relative error against growth](../figures/transfer.svg)\n\n"
    "*Each point is one study with the size that it selected, with the interval of its order-LDS "
    "and of the growth of the study. Dotted lines: the limits of growth.*"
)
LADDER_FIGURE = (
    "![Order-LDS and relative error against the cost per order]"
    "(../figures/cost_accuracy_ladder.svg)\n\n"
    "*The sizes that each study tried, from the cheapest to the first trusted one, or to the "
    "budget. Large markers have a large precompute.*"
)
TARGETS = (
    "The ladder of a study goes up to the target's cost per order; where no size was trusted, the "
    "selected one has the best verdict. The numbers are those of the random orders. Costs are in "
    'retrainings. A relative error of 1 is that of "the order has no effect".'
)
TARGET_HEAD = [
    *("study", "growth [95 %]", "target", "selected (per order)"),
    *("order-LDS [95 %]", "relative error", "met"),
]
SOURCES = "The other corpora. Each domain is text of pinned packages, which no preset uses."
AVERAGED = (
    "Averaged weights: where the rate is constant, orders are also judged by the mean of the last "
    "states of the window ([averaged weights](../method.md#averaged-weights)). The numbers of both "
    "are those of `heldout` of the random orders."
)
AVERAGED_HEAD = [
    *("study", "estimator", "weights", "spread of the orders"),
    *("order-LDS [95 %]", "relative error", "coverage"),
]
ALL = (
    "All estimators. The relative error is that of recalibrated estimates; that of raw estimates "
    "is in brackets."
)
HEAD = [
    *("study", "growth [95 %]", "estimator", "order-LDS [95 %]"),
    *("relative error (raw)", "per order", "verdict"),
]


def markdown(record: Record) -> str:
    """Return the page of the finished studies."""
    cells = record["cells"]
    parts = [
        TITLE,
        TEXT,
        GROWTH_FIGURE,
        TARGETS,
        table(TARGET_HEAD, [_target_row(cell) for cell in cells]),
        *_worst_studies(cells),
        _failures(cells),
        *missing(record),
        LADDER_FIGURE,
        *_averaged(cells),
        ALL,
        table(HEAD, [row for cell in cells for row in _rows(cell)]),
        _worst_rows(cells),
        _costs(cells),
        SOURCES,
        table(["corpus", "domain", "packages"], _sources()),
        measured_on(cells),
    ]
    return "\n\n".join(parts) + "\n"


def _target_row(cell: Record) -> list[str]:
    """Return the row of a study in the table of targets."""
    chosen, target = selected(cell), cell.get("target", {})
    if chosen is None:
        return [cell["label"], "–", target_text(target), "–", "–", "–", "training diverged"]
    name, entry = chosen
    return [
        cell["label"],
        interval(cell["growth"]),
        target_text(target),
        f"`{name}` ({number(entry['per_order_retrainings'])})",
        rank_text(entry["order_lds"]),
        number(entry["relative_error"]),
        "–" if not target else "no" if missed(cell) else "yes",
    ]


def _worst_studies(cells: Sequence[Record]) -> list[str]:
    """Return the sentences about the study, and the other corpus, with the lowest order-LDS."""
    ranked = [cell for cell in cells if "order_lds" in cell.get("target", {}) and selected(cell)]
    corpora = [cell for cell in ranked if cell["values"].get("group") == OTHER_CORPORA]
    sentences = []
    if ranked:
        sentences.append(f"The worst study with a target of order-LDS is {_lowest(ranked)}.")
    if corpora:
        sentences.append(f"The worst of the other corpora is {_lowest(corpora)}.")
    return [" ".join(sentences)] if sentences else []


def _lowest(cells: Sequence[Record]) -> str:
    """Return the study whose selected estimator has the lowest order-LDS, with its numbers."""

    def rank(cell: Record) -> float:
        chosen = selected(cell)
        value = chosen[1]["order_lds"]["value"] if chosen else None
        return -math.inf if value is None else float(value)

    cell = min(cells, key=rank)
    chosen = selected(cell)
    text = rank_text(chosen[1]["order_lds"]) if chosen else "undefined"
    return f"**{cell['label']}** with {text}, growth {number(cell['growth']['value'])}"


def _failures(cells: Sequence[Record]) -> str:
    """Return the list of missed targets, each with the growth of its study."""
    judged = [cell for cell in cells if cell.get("target")]
    lines = [
        f"* {cell['label']} (growth {number(cell.get('growth', {}).get('value'))}): "
        f"{'; '.join(reasons)}"
        for cell in judged
        if (reasons := missed(cell))
    ]
    text = f"{len(judged) - len(lines)} of {len(judged)} targets are met."
    return "\n".join([f"{text} Missed:\n", *lines]) if lines else text


def _rows(cell: Record) -> list[list[str]]:
    if "estimators" not in cell:
        return [[cell["label"], "–", "–", "–", "–", "–", "training diverged"]]
    return [
        [
            cell["label"],
            interval(cell["growth"]),
            f"`{name}`",
            rank_text(entry["order_lds"]),
            f"{number(entry['relative_error'])} ({number(entry['raw_relative_error'])})",
            number(entry["per_order_retrainings"]),
            entry["verdict"],
        ]
        for name, entry in estimators(cell).items()
    ]


def _averaged(cells: Sequence[Record]) -> list[str]:
    """Return the text and the table of the studies that evaluate averaged weights, if any."""
    rows = [
        [cell["label"], f"`{name}`", *numbers]
        for cell in cells
        for name, entry in estimators(cell).items()
        if "averaged" in entry
        for numbers in (
            _readout("last", cell["spread"], entry),
            _readout(
                f"mean of {cell['config']['averaged_states']}",
                cell["averaged_spread"],
                entry["averaged"],
            ),
        )
    ]
    return [AVERAGED, table(AVERAGED_HEAD, rows)] if rows else []


def _readout(weights: str, spread: float | None, entry: Record) -> list[str]:
    return [
        weights,
        number(spread),
        rank_text(entry["order_lds"]),
        number(entry["relative_error"]),
        number(entry["coverage"]["value"]),
    ]


def _worst_rows(cells: Sequence[Record]) -> str:
    """Return the sentence about coverage and relative error over all studies."""
    entries = [entry for cell in cells for entry in estimators(cell).values()]
    covered = sum(entry["coverage"]["value"] * entry["coverage"]["n"] for entry in entries)
    orders = sum(entry["coverage"]["n"] for entry in entries)
    least = min(entry["coverage"]["value"] for entry in entries)
    largest = max(entry["relative_error"] for entry in entries)
    return (
        f"Over all rows, intervals contain the truth of {covered / orders:.3f} of {orders} "
        f"estimates, and of {least:.3f} in the worst row. The largest recalibrated relative error "
        f"is {largest:.2f}."
    )


def _sources() -> list[list[str]]:
    """Return the rows of the table of the other corpora."""
    return [
        [corpus, domain, ", ".join(f"`{one.name}` {one.version}" for one in pinned)]
        for corpus in CORPORA
        for domain, pinned in packages(corpus).items()
    ]


def _costs(cells: Sequence[Record]) -> str:
    entries = [entry for cell in cells for entry in estimators(cell).values()]
    once, selection = (
        [entry[f"{name}_retrainings"] for entry in entries] for name in ("precompute", "selection")
    )
    return (
        f"Costs are in retrainings, counted; the precompute is at most {number(max(once))} in "
        "every row, besides the calibration orders. Their estimates by all sizes that the ladder "
        f"tried cost {number(min(selection))} to {number(max(selection))} more."
    )

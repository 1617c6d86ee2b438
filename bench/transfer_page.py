"""The page of the studies that show whether estimates transfer."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.causes import causes
from bench.config_hash import config_hash
from bench.corpora import CORPORA, packages
from bench.equal_compute_page import section as equal_compute
from bench.equal_compute_page import without_comparison
from bench.grid_page import measured_on
from bench.page import interval, missing, number, table
from bench.stack_page import section
from bench.targets import CHEAP, estimators, judged, missed, selected, target_text
from trainorder.evaluation.verdict import NOT_TRUSTED, RANK_ONLY
from trainorder.figures.style import rank_text
from trainorder.storage.formats import size_text

Record = Mapping[str, Any]

LAST_CHOSEN = "corpus music"  # the study that nothing was tried on before it was run
OTHER_CORPORA = "other corpora"  # the group of studies of which the page names the worst one
INACCURATE = ("order-LDS", "relative error", NOT_TRUSTED, RANK_ONLY)  # what a cause explains
ENOUGH_ORDERS, LEAST_COVERAGE = 32, 0.8  # in so many orders, coverage must not be lower
TITLE = "# Do estimates transfer?"
TEXT = (
    "The default study, changes of it, and other corpora, each with the estimator `corrected`: it "
    "needs the reference run, one more retraining and the calibration orders, and no table or "
    "curvature. The [ladder](../method.md#the-ladder) selects its size. The rows of the default "
    "study, and of its best learning rate, also have low-rank curvature, some of them with twice "
    "the budget for it (`ladder.precompute: 32`). Nothing was tuned on the other studies. "
    "`growth` is the factor by which a small change of the parameters grows over the window "
    "([predictability](../predictability.md)). Made by `make bench`; "
    "[transfer.json](transfer.json) has all numbers and the whole configurations."
)
GROWTH_FIGURE = (
    "![Order-LDS and relative error against growth](../figures/transfer.svg)\n\n"
    "*Each point is an estimator of one study, with the interval of its order-LDS and of the "
    "study's growth. Dotted lines: the limits of growth.*"
)
LADDER_FIGURE = (
    "![Order-LDS and relative error against the cost per order]"
    "(../figures/cost_accuracy_ladder.svg)\n\n"
    "*The sizes that each study tried, from the cheapest to the first trusted one, or to the "
    "budget. Large markers have a large precompute.*"
)
TARGETS = (
    "The ladder of a study goes up to the target's cost per order; where no size was trusted, the "
    "selected one has the best verdict. `cheap` is, of the estimators within that cost per order, "
    "the one that ranks the calibration orders best. The numbers are those of the random orders. "
    'Costs are in retrainings. A relative error of 1 is that of "the order has no effect".'
)
TARGET_HEAD = [
    *("study", "growth [95 %]", "target", "estimator (per order)"),
    *("order-LDS [95 %], n", "relative error", "met"),
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
    *("study", "estimator", "order-LDS [95 %]", "relative error (raw)"),
    *("coverage", "verdict"),
]
COSTS = (
    "What each estimator costs: counted retrainings, with measured seconds and stored bytes. "
    "`sizes` is what the ladder spent on trying sizes on the calibration orders."
)
COSTS_HEAD = ["study", "estimator", "precompute", "sizes", "per order", "bytes"]
TIMES = "What each study took, with all its retrainings, as the sum over its jobs."
TIMES_HEAD = [
    *("study", "configuration", "parameters", "learning rate", "T"),
    *("a retraining", "all jobs", "peak memory of a job"),
]


def markdown(record: Record, beside: Sequence[Record] = ()) -> str:
    """Return the page of the measured rows.

    Args:
        record: content of the file of records.
        beside: rows of other pages, which the table of targets shows too; each has its `page`.

    """
    measured, cells = record["cells"], without_comparison(record)["cells"]
    every = [*cells, *beside]
    parts = [
        TITLE,
        TEXT,
        GROWTH_FIGURE,
        TARGETS,
        table(TARGET_HEAD, [row for cell in every for row in _target_rows(cell)]),
        *_worst_studies(every),
        _failures(every),
        *missing(record),
        *_pages(beside),
        LADDER_FIGURE,
        *_averaged(cells),
        *section([(cell["label"], stack) for cell in cells for stack in cell.get("stacks", ())]),
        ALL,
        table(HEAD, [row for cell in cells for row in _rows(cell)]),
        *_worst_rows(cells),
        COSTS,
        table(COSTS_HEAD, [row for cell in cells for row in _cost_rows(cell)]),
        TIMES,
        table(TIMES_HEAD, [_time_row(cell) for cell in measured if "estimators" in cell]),
        *_together(measured),
        SOURCES,
        table(["corpus", "domain", "packages"], _sources()),
        *equal_compute(record),
        measured_on(measured),
    ]
    return "\n\n".join(parts) + "\n"


def _target_rows(cell: Record) -> list[list[str]]:
    """Return the rows of a study in the table of targets: one for each judged estimator."""
    growth = interval(cell["growth"]) if "growth" in cell else "–"
    rows = []
    for index, one in enumerate(judged(cell)):
        label = f"{cell['label']}, {CHEAP}" if index else cell["label"]
        met = "–" if not one.target else "no" if one.missed else "yes"
        start = [label, growth, target_text(one.target)]
        rows.append([*start, *_reached(one.name, one.entry), met])
    return rows


def _reached(name: str | None, entry: Record | None) -> list[str]:
    if entry is None:
        return ["–", "–", "–"]
    return [
        f"`{name}` ({number(entry['per_order_retrainings'])})",
        f"{rank_text(entry['order_lds'])}, {entry['order_lds']['n']}",
        number(entry["relative_error"]),
    ]


def _pages(beside: Sequence[Record]) -> list[str]:
    """Return the sentence that names the pages of further rows."""
    pages = dict.fromkeys(cell["page"] for cell in beside)
    links = ", ".join(f"[{page}]({page}.md)" for page in pages)
    return [f"Further rows of this table have their numbers on other pages: {links}."] * bool(pages)


def _worst_studies(cells: Sequence[Record]) -> list[str]:
    """Return the sentences about the study, and the other corpus, with the lowest order-LDS."""
    ranked = [cell for cell in cells if "order_lds" in cell.get("target", {}) and selected(cell)]
    corpora = [cell for cell in ranked if cell["values"].get("group") == OTHER_CORPORA]
    sentences = []
    if ranked:
        sentences.append(f"The worst study with a target of order-LDS is {_lowest(ranked)}.")
    if corpora:
        sentences.append(f"The worst of the other corpora is {_lowest(corpora)}.")
    if last := [cell for cell in corpora if cell["label"] == LAST_CHOSEN]:
        sentences.append(
            f"The study {LAST_CHOSEN} was chosen after all others had been seen, and run once: its "
            f"estimates were judged `{_verdict(last[0])}` on its calibration orders."
        )
    return [" ".join(sentences)] if sentences else []


def _verdict(cell: Record) -> str:
    chosen = selected(cell)
    assert chosen is not None
    return str(chosen[1]["verdict"])


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
    """Return the list of missed targets, each with the growth of its study and what limits it."""
    with_target = [cell for cell in cells if cell.get("target")]
    lines = [_failure(cell, reasons) for cell in with_target if (reasons := missed(cell))]
    text = f"{len(with_target) - len(lines)} of {len(with_target)} targets are met."
    return (
        "\n".join([f"{text} Missed, with what limits `corrected` there:\n", *lines])
        if lines
        else text
    )


def _failure(cell: Record, reasons: Sequence[str]) -> str:
    text = f"* {cell['label']} (growth {number(cell.get('growth', {}).get('value'))}): "
    text += "; ".join(reasons)
    limits = causes(cell) if any(reason.startswith(INACCURATE) for reason in reasons) else []
    limits += _cheap_limits(cell)
    return f"{text}. Limited by {' and '.join(limits)}" if limits else text


def _cheap_limits(cell: Record) -> list[str]:
    """Return what limits a cheap estimator that is less accurate than its target."""
    return [
        "the directions of curvature that its precompute buys (error of the parameters "
        f"{number(one.entry['parameter_error']['mean'])})"
        for one in judged(cell)[1:]
        if one.entry and any(reason.startswith(INACCURATE) for reason in one.missed)
    ]


def _rows(cell: Record) -> list[list[str]]:
    if "estimators" not in cell:
        return [[cell["label"], "–", "–", "–", "–", "training diverged"]]
    return [
        [
            cell["label"],
            f"`{name}`",
            rank_text(entry["order_lds"]),
            f"{number(entry['relative_error'])} ({number(entry['raw_relative_error'])})",
            number(entry["coverage"]["value"]),
            entry["verdict"],
        ]
        for name, entry in estimators(cell).items()
    ]


def _cost_rows(cell: Record) -> list[list[str]]:
    return [
        [
            cell["label"],
            f"`{name}`",
            number(entry["precompute_retrainings"]),
            number(entry["selection_retrainings"]),
            f"{number(entry['per_order_retrainings'])} ({_seconds(entry, 'seconds_per_order')})",
            size_text(entry["bytes"]),
        ]
        for name, entry in estimators(cell).items()
    ]


def _time_row(cell: Record) -> list[str]:
    return [
        cell["label"],
        f"`{config_hash(cell['config'])}`",
        f"{cell['parameters']:,}",
        number(cell["config"]["optimizer"]["learning_rate"]),
        str(cell["steps"]),
        _seconds(cell, "retraining_seconds"),
        _seconds(cell, "job_seconds"),
        size_text(cell["peak_bytes"]) if "peak_bytes" in cell else "–",
    ]


def _together(cells: Sequence[Record]) -> list[str]:
    """Return the sentence about the time of all rows whose time is known."""
    known = [cell["job_seconds"] for cell in cells if "job_seconds" in cell]
    hours = number(sum(known) / 3600)
    unknown = len(cells) - len(known)
    note = f", without {unknown} whose time is not recorded" if unknown else ""
    return [f"The jobs of all measured rows took {hours} hours{note}."] if known else []


def _seconds(record: Record, key: str) -> str:
    """Return a measured time; a dash if an earlier version did not record it."""
    return "–" if record.get(key) is None else f"{number(record[key])} s"


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


def _worst_rows(cells: Sequence[Record]) -> list[str]:
    """Return the sentence about coverage and relative error over all studies, if there are any."""
    entries = [entry for cell in cells for entry in estimators(cell).values()]
    known = [one for entry in entries for one in [entry["coverage"]] if one["value"] is not None]
    errors = [entry["relative_error"] for entry in entries if entry["relative_error"] is not None]
    if not known or not errors:
        return []
    covered = sum(one["value"] * one["n"] for one in known)
    orders = sum(one["n"] for one in known)
    least = min(one["value"] for one in known)
    return [
        f"Over all rows, intervals contain the truth of {covered / orders:.3f} of {orders} "
        f"estimates, and of {least:.3f} in the worst row. The largest recalibrated relative error "
        f"is {max(errors):.2f}. {_narrow(cells)}"
    ]


def _narrow(cells: Sequence[Record]) -> str:
    """Return the estimators whose intervals contain the truth too rarely, as a sentence."""
    found = [
        f"{cell['label']}, `{name}` ({round(one['value'] * one['n'])} of {one['n']})"
        for cell in cells
        for name, entry in estimators(cell).items()
        for one in [entry["coverage"]]
        if one["value"] is not None
        if one["n"] >= ENOUGH_ORDERS and one["value"] < LEAST_COVERAGE
    ]
    text = f"below {LEAST_COVERAGE} in a study of {ENOUGH_ORDERS} or more orders"
    return f"Coverage is {text} for: {'; '.join(found)}." if found else f"No coverage is {text}."


def _sources() -> list[list[str]]:
    """Return the rows of the table of the other corpora."""
    return [
        [corpus, domain, ", ".join(f"`{one.name}` {one.version}" for one in pinned)]
        for corpus in CORPORA
        for domain, pinned in packages(corpus).items()
    ]

"""The page of the studies of a real pretrained model."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.grid_page import measured_on
from bench.page import interval, missing, number, table
from bench.targets import missed, selected, target_text
from trainorder.figures.style import rank_text

Record = Mapping[str, Any]

TITLE = "# A real pretrained model"
TEXT = (
    "SmolLM2-135M-Instruct, from [its package](../model.md#a-packaged-pretrained-model), trained "
    "on three languages and technical English: all parameters, or low-rank adapters. A window of T "
    "units of 8 sequences of 64 tokens, in pure domains, follows 8 mixed warm-up steps. The "
    "estimator is `corrected` with 2 of the 8 sequences and one known run, the reference. Made by "
    "`make bench-pretrained`; [pretrained.json](pretrained.json) has all numbers and the whole "
    "configurations."
)
SCORES = (
    "The numbers are those of the held-back random orders. The spread is the standard deviation of "
    'their true loss, in nats per token. A relative error of 1 is that of "the order has no '
    'effect"; that of estimates before recalibration is in brackets.'
)
SCORES_HEAD = [
    *("study", "growth [95 %]", "spread", "order-LDS [95 %], orders"),
    *("relative error (raw)", "verdict", "met"),
]
COSTS = (
    "Costs. Seconds are those of one order without evaluation, on the processor below, which other "
    "jobs may have shared; costs in retrainings are counted. The store is what the estimator reads."
)
COSTS_HEAD = [
    *("study", "trained parameters", "a retraining", "an estimate"),
    *("in retrainings: once, per order", "store", "peak memory"),
]


def markdown(record: Record) -> str:
    """Return the page of the measured studies."""
    cells = record["cells"]
    measured = [cell for cell in cells if selected(cell)]
    parts = [TITLE, TEXT]
    if cells:
        parts += [f"Target: {target_text(cells[0]['target'])}.", SCORES]
        parts += [table(SCORES_HEAD, [_score_row(cell) for cell in cells])]
    parts += missing(record)
    if measured:
        parts += [COSTS, table(COSTS_HEAD, [_cost_row(cell) for cell in measured])]
        parts += [*_slower(measured), *_single_direction(cells)]
    if cells:
        parts += [measured_on(cells)]
    return "\n\n".join(parts) + "\n"


def _score_row(cell: Record) -> list[str]:
    chosen = selected(cell)
    if chosen is None:
        return [cell["label"], "–", "–", "–", "–", "–", "training diverged"]
    entry, reasons = chosen[1], missed(cell)
    return [
        cell["label"],
        interval(cell["growth"]),
        number(cell["spread"]),
        f"{rank_text(entry['order_lds'])}, {entry['order_lds']['n']}",
        f"{number(entry['relative_error'])} ({number(entry['raw_relative_error'])})",
        entry["verdict"],
        f"no: {'; '.join(reasons)}" if reasons else "yes",
    ]


def _cost_row(cell: Record) -> list[str]:
    chosen = selected(cell)
    assert chosen is not None
    entry = chosen[1]
    once, each = (entry[f"{name}_retrainings"] for name in ("precompute", "per_order"))
    return [
        cell["label"],
        f"{cell['parameters']:,}",
        f"{number(cell['retraining_seconds'])} s",
        f"{number(entry['seconds_per_order'])} s",
        f"{number(once)}, {number(each)}",
        _gigabytes(entry["bytes"]),
        _gigabytes(cell["peak_bytes"]),
    ]


def _slower(cells: Sequence[Record]) -> list[str]:
    """Return the studies in which an estimate took longer than a retraining, as a sentence."""
    names = [
        cell["label"]
        for cell in cells
        for chosen in [selected(cell)]
        if chosen and chosen[1]["seconds_per_order"] > cell["retraining_seconds"]
    ]
    return names and [
        f"An estimate took longer than a retraining here: {'; '.join(names)}. It differentiates a "
        "quarter of the sequences, but it also reads the gradients of the known run and moves "
        "vectors of all parameters, in memory and in files."
    ]


def _single_direction(cells: Sequence[Record]) -> list[str]:
    """Return the studies whose growth has no interval, as a sentence."""
    names = [cell["label"] for cell in cells if cell["growth"]["n"] == 1]
    return names and [
        f"Growth was measured in one direction only, so it has no interval: {'; '.join(names)}."
    ]


def _gigabytes(size: float) -> str:
    return f"{number(size / 1e9)} GB"

"""The section of competing methods that use as many retrainings as `corrected`."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from bench.page import interval, number, table
from bench.targets import estimators, selected
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.figures.style import rank_text
from trainorder.orders.order import CALIBRATION, FIT, HELD_BACK

Record = Mapping[str, Any]

EQUAL_COMPUTE = "equal compute"  # the group of the row that compares methods
TITLE = "## Competing methods at equal compute"
HEAD = ["method", "order-LDS [95 %], n", "relative error", "retrainings in all", "verdict"]


def comparison(record: Record) -> Record | None:
    """Return the measured row that compares methods; None if it is not measured or diverged."""
    rows = [c for c in record["cells"] if c["values"].get("group") == EQUAL_COMPUTE]
    return next((cell for cell in rows if selected(cell)), None)


def without_comparison(record: Record) -> dict[str, Any]:
    """Return the record without that row: it repeats a study, so it says nothing of transfer."""
    cells = [c for c in record["cells"] if c["values"].get("group") != EQUAL_COMPUTE]
    return {**record, "cells": cells}


def section(record: Record) -> list[str]:
    """Return title, text, table and conclusion; nothing if the row is not measured."""
    cell = comparison(record)
    if cell is None:
        return []
    rows = [
        [
            f"`{name}`",
            f"{rank_text(entry['order_lds'])}, {entry['order_lds']['n']}",
            number(entry["relative_error"]),
            number(retrainings(name, entry)),
            entry["verdict"],
        ]
        for name, entry in _by_rank(cell)
    ]
    return [TITLE, _text(cell), table(HEAD, rows), conclusion(cell)]


def retrainings(name: str, entry: Record) -> float:
    """Return the cost of all estimates of a method, with the retrainings that it is made from.

    The total of a fitted method has the orders that it is fitted on. That of `corrected` lacks its
    known runs, because they are calibration orders, which every method needs for its verdict.
    """
    return float(entry["total_retrainings"]) + EstimatorConfig.from_name(name).runs


def _by_rank(cell: Record) -> list[tuple[str, Record]]:
    """Return the methods, that with the highest order-LDS first; undefined ones are last."""

    def rank(item: tuple[str, Record]) -> float:
        value = item[1]["order_lds"]["value"]
        return -math.inf if value is None else float(value)

    return sorted(estimators(cell).items(), key=rank, reverse=True)


def _text(cell: Record) -> str:
    orders, ours = cell["config"]["orders"], _ours(cell)[0]
    calibration, held_back = orders[CALIBRATION], orders[HELD_BACK]
    fitted = _named(n for n in estimators(cell) if EstimatorConfig.from_name(n).descriptor.fitted)
    return (
        f"The study {cell['label']}: {fitted} are fitted on {orders[FIT]} retrained orders. "
        "*Retrainings in all* is what the estimates of the "
        f"{calibration} calibration and {held_back} random orders cost, with all that a method is "
        f"made from: precompute, choice of a size, the orders that it is fitted on, and the "
        f"{EstimatorConfig.from_name(ours).runs} known runs of `{ours}`. These runs are "
        "calibration orders, which each method needs for its verdict, so they cost this method "
        "nothing more; they are counted all the same. A method that ran on fewer orders is "
        "charged for all."
    )


def conclusion(cell: Record) -> str:
    """Return which method ranks best, what is not of equal compute, and where a tie is excluded."""
    most = max(entry["order_lds"]["n"] for entry in estimators(cell).values())
    ranked = [(name, one) for name, one in _by_rank(cell) if one["order_lds"]["n"] == most]
    best, entry = ranked[0]
    text = (
        f"Of the methods that estimate all {most} random orders, `{best}` has the highest "
        f"order-LDS, {rank_text(entry['order_lds'])}."
    )
    return " ".join([text, *_cheaper(cell), *_ties(cell)])


def _cheaper(cell: Record) -> list[str]:
    """Return which methods use fewer retrainings than the estimator of the ladder."""
    ours, own = _ours(cell)
    limit = retrainings(ours, own)
    totals = {name: retrainings(name, e) for name, e in estimators(cell).items() if name != ours}
    fewer = [name for name, total in totals.items() if total < limit]
    if not fewer:
        return [f"Each other method uses at least as many retrainings as `{ours}`."]
    verb = "uses" if len(fewer) == 1 else "use"
    rest = "; the others use at least as many" if len(fewer) < len(totals) else ""
    return [f"{_named(fewer)} {verb} fewer retrainings than `{ours}`{rest}."]


def _ties(cell: Record) -> list[str]:
    """Return the differences of order-LDS whose intervals exclude a tie, and those that do not."""
    gains = {n: g for n, g in cell.get("rank_gains", {}).items() if g["low"] is not None}
    if not gains:
        return []
    ours = _ours(cell)[0]
    parts: dict[str, list[str]] = {"excludes": [], "does not exclude": []}
    for name, gain in gains.items():
        tie = gain["low"] <= 0 <= gain["high"]
        shown = f"`{name}` ({interval(gain)}, n = {gain['n']})"
        parts["does not exclude" if tie else "excludes"].append(shown)
    texts = [f"{verb} a tie with {', '.join(names)}" for verb, names in parts.items() if names]
    return [
        f"The order-LDS of `{ours}` minus that of another method, with its interval from paired "
        f"resamples of the orders that both estimate, {'; it '.join(texts)}."
    ]


def _ours(cell: Record) -> tuple[str, Record]:
    chosen = selected(cell)
    assert chosen is not None
    return chosen


def _named(names: Iterable[str]) -> str:
    """Return names as a list in words."""
    quoted = [f"`{name}`" for name in names]
    return " and ".join([*([", ".join(quoted[:-1])] if len(quoted) > 1 else []), *quoted[-1:]])

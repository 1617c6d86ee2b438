"""What a row of the benchmark must reach, and what it reached.

A target is a mapping. `order_lds` is the least correlation; `relative_error`,
`per_order_retrainings` and `precompute_retrainings` are the largest values; `verdicts` are the
allowed verdicts. They hold for the estimator whose size the ladder selected. `cheap` has the same
bounds for a second estimator: of those within its cost per order, the one that ranks the
calibration orders best. Three more hold for the study: `growth` is the least growth,
`trusted_below_growth` the growth below which it must be trusted, and `largest_error` is the largest
relative error of every estimator.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from trainorder.evaluation.verdict import TRUSTED

Record = Mapping[str, Any]

BASELINE = "constant"  # "the order has no effect"
CHEAP = "cheap"  # the target of a second estimator
_TEXTS = {
    "order_lds": "order-LDS ≥ {}",
    "relative_error": "error ≤ {}",
    "per_order_retrainings": "per order ≤ {}",
    "precompute_retrainings": "precompute ≤ {}",
    "growth": "growth > {}",
    "trusted_below_growth": "trusted if growth < {}",
    "largest_error": "every error ≤ {}",
}


def target_text(target: Record) -> str:
    """Return a target in words."""
    parts = [text.format(share(target[key])) for key, text in _TEXTS.items() if key in target]
    return "; ".join([*parts, *_verdicts(target)]) or "reported"


def _verdicts(target: Record) -> list[str]:
    return [" or ".join(target["verdicts"])] if "verdicts" in target else []


def share(value: float) -> str:
    """Return a number; one over an integer is written as a fraction."""
    inverse = round(1 / value) if 0 < value < 1 else 0
    if inverse > 1 and math.isclose(value * inverse, 1):
        return f"1/{inverse}"
    return f"{value:.3g}"


def estimators(cell: Record) -> dict[str, Record]:
    """Return the estimators of a study, without the baseline."""
    entries = cell.get("estimators", {}).items()
    return {name: entry for name, entry in entries if not name.startswith(BASELINE)}


def selected(cell: Record) -> tuple[str, Record] | None:
    """Return the estimator whose size the ladder of the study selected; None without a ladder."""
    ladder = cell.get("ladder")
    return (ladder["estimator"], cell["estimators"][ladder["estimator"]]) if ladder else None


class Judged(NamedTuple):
    """An estimator of a study, None if it has none that fits, and what it must reach.

    Attributes:
        name: of the estimator.
        entry: its numbers.
        target: its part of the target.
        missed: the parts of the target that it did not reach, with its numbers.

    """

    name: str | None
    entry: Record | None
    target: Record
    missed: list[str]


def judged(cell: Record) -> list[Judged]:
    """Return the selected estimator of a study, and the cheap one if the target has one."""
    target = dict(cell.get("target", {}))
    cheap_target = target.pop(CHEAP, None)
    chosen = selected(cell)
    if chosen is None:
        return [Judged(None, None, target, ["training diverged"] if target else [])]
    reasons = [*_missed_by_estimator(target, chosen[1]), *_missed_by_study(cell)]
    first = Judged(*chosen, target, reasons)
    return [first] if cheap_target is None else [first, _judged_cheap(cell, cheap_target)]


def missed(cell: Record) -> list[str]:
    """Return the parts of its target that a study did not reach, with its numbers."""
    first, *others = judged(cell)
    return [*first.missed, *(f"cheap estimator: {why}" for one in others for why in one.missed)]


def _judged_cheap(cell: Record, target: Record) -> Judged:
    """Return the estimator within the cost per order that ranks the calibration orders best."""
    limit = target["per_order_retrainings"]
    ranks = {
        name: entry["calibration_order_lds"]["value"]
        for name, entry in estimators(cell).items()
        if _size(entry["per_order_retrainings"]) <= limit
    }
    if not ranks:
        return Judged(None, None, target, [f"none costs at most {share(limit)} per order"])
    name = max(ranks, key=lambda one: -math.inf if ranks[one] is None else ranks[one])
    entry = cell["estimators"][name]
    return Judged(name, entry, target, list(_missed_by_estimator(target, entry)))


def _missed_by_estimator(target: Record, entry: Record) -> Iterator[str]:
    rank = entry["order_lds"]["value"]
    if "order_lds" in target and (rank is None or rank < target["order_lds"]):
        yield f"order-LDS {_number(rank)} instead of {target['order_lds']:g}"
    for key, name in (
        ("relative_error", "relative error"),
        ("per_order_retrainings", "cost per order"),
        ("precompute_retrainings", "precompute"),
    ):
        if key in target and not _size(entry[key]) <= target[key] * (1 + 1e-9):
            yield f"{name} {_number(entry[key])} instead of {share(target[key])}"
    if "verdicts" in target and entry["verdict"] not in target["verdicts"]:
        yield entry["verdict"]


def _missed_by_study(cell: Record) -> Iterator[str]:
    target, growth = cell.get("target", {}), cell["growth"]["value"]
    growth = _size(growth)  # None if a perturbed training diverged
    verdicts = {entry["verdict"] for entry in estimators(cell).values()}
    largest = max(_size(entry["relative_error"]) for entry in cell["estimators"].values())
    if growth < target.get("growth", -math.inf):
        yield f"growth {_number(growth)} instead of {target['growth']:g}"
    if growth < target.get("trusted_below_growth", -math.inf) and TRUSTED not in verdicts:
        yield "not trusted, although growth is low"
    if largest > target.get("largest_error", math.inf):
        yield f"relative error {_number(largest)} instead of {target['largest_error']:g}"


def _size(value: float | None) -> float:
    """Return a number that has an upper bound; one that is not finite, None, is above each."""
    return math.inf if value is None else value


def _number(value: float | None) -> str:
    return "undefined" if value is None or math.isinf(value) else f"{value:.3g}"

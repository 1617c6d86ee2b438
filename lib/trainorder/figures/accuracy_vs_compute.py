"""Order-LDS of each estimator against its total compute, and which one a user would choose."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from matplotlib.ticker import LogLocator, NullFormatter
from scipy.optimize import isotonic_regression

from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.estimate_cost import estimate_cost, retrainings_text
from trainorder.evaluation.results import WARNING_VERDICTS, Results
from trainorder.evaluation.verdict import NOT_CALIBRATED, NOT_TRUSTED
from trainorder.figures import style
from trainorder.figures.overview import PUBLISHED
from trainorder.orders.order import HELD_BACK

_TICKS = (-0.5, 0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
_MOST = 0.993  # correlations above it are drawn at it: the axis has no end
_LINE = 0.075  # share of the order-LDS axis: smallest distance between two names
_COLOUR, _FRONT = "#31688e", "#b63679"
# By verdict that warns: the look of its marks, and what the text calls them.
_FAILED: dict[str, tuple[dict[str, Any], str]] = {
    NOT_CALIBRATED: (
        {"marker": "o", "markerfacecolor": "white", "color": "0.45", "zorder": 1.5},
        "open circles",
    ),
    NOT_TRUSTED: ({"marker": "x", "color": "0.4", "zorder": 3.5}, "crosses"),
}


class Mark(NamedTuple):
    """The mark of an estimator: total compute in retrainings, and order-LDS with its interval."""

    estimator: str
    total: float
    rank: dict[str, float | None]
    verdict: str

    @property
    def height(self) -> float:
        """Order-LDS, 0 where it is undefined."""
        return self.rank["value"] or 0.0

    @property
    def fails(self) -> bool:
        """Whether its verdict is a warning."""
        return self.verdict in WARNING_VERDICTS


def marks(results: Results) -> list[Mark]:
    """Return the marks, cheapest first; an estimator that ran on no order has none."""
    held_back = results.validation["orders"].get(HELD_BACK, 0)
    unsorted = [
        Mark(
            name,
            cost.total(held_back),
            score["order_lds"][MAIN_METRIC][HELD_BACK],
            score["verdict"],
        )
        for name in results.estimators
        if (cost := estimate_cost(results.validation, name)) and (score := results.score(name))
    ]
    return sorted(unsorted, key=lambda mark: mark.total)


def front(drawn_marks: Sequence[Mark]) -> list[Mark]:
    """Return the Pareto front: the marks without a warning that no cheaper one of them equals."""
    best: list[Mark] = []
    for mark in sorted(drawn_marks, key=lambda mark: (mark.total, -mark.height)):
        if not mark.fails and (not best or mark.height > best[-1].height):
            best.append(mark)
    return best


def draw(results: Results) -> Figure:
    """Draw order-LDS over random orders against total compute; the names are beside the axes."""
    drawn_marks = marks(results)
    selected = results.validation["selected_estimator"]
    named = [
        mark
        for mark in drawn_marks
        if mark.rank["value"] is not None
        and (not mark.fails or mark.estimator in (PUBLISHED, selected))
    ]
    figure = style.new_figure(
        max(2.6, 0.21 * len(named) + 1.0), results.label(failed_text(drawn_marks))
    )
    axes, beside = figure.subplots(1, 2, width_ratios=[1.45, 1])
    _prepare(axes, results, drawn_marks)
    for mark in drawn_marks:
        if mark.rank["value"] is not None:
            _draw_mark(axes, mark, is_selected=mark.estimator == selected)
    steps = front(drawn_marks)
    if steps:
        right = max(results.validation["retrain_all"]["total_retrainings"], steps[-1].total)
        axes.plot(
            [*(mark.total for mark in steps), right],
            [_height(mark) for mark in [*steps, steps[-1]]],
            drawstyle="steps-post", color=_FRONT, linewidth=0.8, zorder=1, gid="front",
        )  # fmt: skip
    _draw_names(axes, beside, named, selected)
    return figure


def failed_text(drawn_marks: Sequence[Mark]) -> str:
    """Return the estimators whose verdict is a warning, by verdict, the best one first."""
    lines = []
    for verdict, (_, marker) in _FAILED.items():
        group = [mark for mark in drawn_marks if mark.verdict == verdict]
        group.sort(key=lambda mark: -mark.height)
        if group:
            most = max(int(mark.rank["n"] or 0) for mark in drawn_marks)
            named = ", ".join(f"{m.estimator} {_rank_text(m, most)}" for m in group)
            lines.append(f"{verdict} ({marker}): {named}")
    return "\n".join(lines)


def _rank_text(mark: Mark, most: int) -> str:
    """Return the rank correlation; with its number of orders, if others ran on more."""
    value, n = mark.rank["value"], int(mark.rank["n"] or 0)
    few = f" (n = {n})" if n < most else ""
    return f"{'undefined' if value is None else style.number(value)}{few}"


def _height(mark: Mark) -> float:
    return _clipped(mark.height)


def _clipped(value: float) -> float:
    return max(-_MOST, min(value, _MOST))


def _prepare(axes: Axes, results: Results, drawn_marks: Sequence[Mark]) -> None:
    """Set the axes: the vertical one is wide near 1, where good estimators are (Fisher's z)."""
    everything = results.validation["retrain_all"]
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=6))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    totals = [mark.total for mark in drawn_marks if mark.total > 0]
    totals.append(everything["total_retrainings"])
    axes.set_xlim(min(totals) / 1.6, max(totals) * 1.6)
    axes.set_yscale("function", functions=(_stretched, np.tanh))
    values = [value for mark in drawn_marks for value in (mark.rank["value"], mark.rank["low"])]
    lowest = min(-0.25, *(value for value in values if value is not None))
    axes.set_ylim(max(lowest - 0.05, -_MOST), 0.9955)
    axes.set_yticks([tick for tick in _TICKS if tick >= lowest], minor=False)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.axhline(0, color="0.8", linewidth=0.5, zorder=0)
    axes.axvline(
        everything["total_retrainings"], color="0.35", linewidth=0.6, linestyle=(0, (4, 2)),
        zorder=0, gid="retrain all",
    )  # fmt: skip
    axes.text(
        everything["total_retrainings"], 1.01, _everything(everything),
        transform=axes.get_xaxis_transform(), fontsize=style.SMALLEST, color="0.35", ha="center",
    )  # fmt: skip
    axes.set_xlabel(f"estimates of {everything['orders']} orders (retrainings)")
    axes.set_ylabel("order-LDS of held-out loss\n(the scale is wider near 1)")


def _everything(retrain_all: Mapping[str, Any]) -> str:
    return (
        f"retrain all {retrain_all['orders']}: {retrainings_text(retrain_all['total_retrainings'])}"
    )


def _stretched(values: np.ndarray) -> np.ndarray:
    stretched: np.ndarray = np.arctanh(np.clip(values, -0.9999, 0.9999))
    return stretched


def _draw_mark(axes: Axes, mark: Mark, *, is_selected: bool) -> None:
    rank = mark.rank
    # A white edge separates marks that cover each other.
    look: dict[str, Any] = {
        "marker": "s", "color": _COLOUR, "markeredgecolor": "white", "markeredgewidth": 0.4,
        "zorder": 3,
    }  # fmt: skip
    if mark.fails:
        look = _FAILED[mark.verdict][0]
    elif rank["low"] is not None and rank["high"] is not None:
        ends = [_clipped(rank["low"]), _clipped(rank["high"])]
        axes.plot([mark.total] * 2, ends, color=_COLOUR, linewidth=0.6, zorder=2)
    axes.plot(
        [mark.total], [_height(mark)], markersize=3.6, linestyle="none", gid=mark.estimator,
        **look,
    )  # fmt: skip
    if is_selected:
        style.ring(axes, [mark.total], [_height(mark)], gid="selected", size=40)


def _draw_names(axes: Axes, beside: Axes, named: Sequence[Mark], selected: str) -> None:
    """Write the names in the panel beside the axes, each with a thin line to its mark."""
    beside.set_axis_off()
    low, high = (math.atanh(end) for end in axes.get_ylim())
    wanted = [(math.atanh(_height(mark)) - low) / (high - low) for mark in named]
    for mark, place in zip(named, spread(wanted, (0.0, 1.0), _LINE), strict=True):
        is_selected = mark.estimator == selected
        notes = [mark.verdict if mark.fails else "", "selected" if is_selected else ""]
        beside.text(
            0.0, place, "\n".join([mark.estimator, ", ".join(filter(None, notes))]).strip(),
            transform=beside.transAxes, fontsize=style.SMALLEST, va="center", linespacing=0.95,
            fontweight="bold" if is_selected else "normal", in_layout=False,
        )  # fmt: skip
        _draw_leader(axes, beside, mark, place)


def _draw_leader(axes: Axes, beside: Axes, mark: Mark, place: float) -> None:
    """Draw the line from a mark to its name, below all marks, so that it crosses none of them."""
    leader = ConnectionPatch(
        (mark.total, _height(mark)), (-0.01, place), axes.transData, beside.transAxes,
        linewidth=0.3, color="0.6", shrinkA=2, shrinkB=0, zorder=0.9, clip_on=False,
    )  # fmt: skip
    leader.set_in_layout(False)
    axes.add_artist(leader)


def spread(preferred: Sequence[float], ends: tuple[float, float], line: float) -> list[float]:
    """Return the places nearest to `preferred` that keep a distance from each other, within `ends`.

    The sum of squared moves is smallest (isotonic regression).

    Args:
        preferred: places, in any order; the result has the same order.
        ends: ends of the axis.
        line: smallest distance, as a share of the axis.

    """
    gap = line * (ends[1] - ends[0])
    order = sorted(range(len(preferred)), key=lambda i: preferred[i])
    if not order:
        return []
    shifts = isotonic_regression([preferred[i] - rank * gap for rank, i in enumerate(order)]).x
    lowest, highest = ends[0] + gap / 2, ends[1] - (len(preferred) - 0.5) * gap
    places = [0.0] * len(preferred)
    for rank, (i, shift) in enumerate(zip(order, shifts.tolist(), strict=True)):
        places[i] = max(lowest, min(shift, highest)) + rank * gap
    return places

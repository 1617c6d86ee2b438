"""The figures of the studies of transfer: accuracy against growth, and against the cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.studies import environment_text
from bench.targets import estimators, share
from trainorder.evaluation.predictability import PREDICTABLE_GROWTH, UNPREDICTABLE_GROWTH
from trainorder.figures import style

Record = Mapping[str, Any]

CALIBRATION_RANK = "order-LDS, calibration"
RANK, ERROR = "order-LDS, random orders", "relative error, recalibrated"
PER_ORDER, PRECOMPUTE = "per_order_retrainings", "precompute_retrainings"
NO_EFFECT = 1.0  # the relative error of "the order has no effect"


def draw_growth(record: Record) -> Figure:
    """Draw order-LDS and relative error of each level of the estimator against growth."""
    cells = [cell for cell in record["cells"] if _growth(cell) is not None]
    levels = _levels(cells)
    figure = style.new_figure(4.2, _label(record), width=9.0)
    ranks, errors = figure.subplots(1, 2)
    for index, name in enumerate(levels):
        shade = matplotlib.colormaps["viridis"](0.85 * index / max(1, len(levels) - 1))
        look = {"marker": style.line(index)["marker"], "color": shade}
        shown = [cell for cell in cells if name in cell["estimators"]]
        _points(ranks, [c for c in shown if _rank(c, name)["value"] is not None], name, look)
        _points(
            errors, [c for c in shown if _error(c, name) is not None], name, look, of_error=True
        )
    for axes, label in ((ranks, RANK), (errors, ERROR)):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("growth over the window")
        axes.set_ylabel(label)
        for limit in (PREDICTABLE_GROWTH, UNPREDICTABLE_GROWTH):
            axes.axvline(limit, color="0.35", linewidth=0.9, linestyle=":")
    _scales(ranks, errors)
    figure.legend(
        *ranks.get_legend_handles_labels(), loc="outside upper center", ncols=min(8, len(levels))
    )
    return figure


def _points(
    axes: Axes, cells: Sequence[Record], name: str, look: Mapping[str, Any], of_error: bool = False
) -> None:
    """Draw the points of one level: one for each study, with its intervals."""
    growths = [float(cell["growth"]["value"]) for cell in cells]
    if of_error:
        values, spread = [cell["estimators"][name]["relative_error"] for cell in cells], None
    else:
        ranks = [_rank(cell, name) for cell in cells]
        values, spread = [rank["value"] for rank in ranks], _bars(ranks)
    across = _bars([cell["growth"] for cell in cells])
    bars: dict[str, Any] = {"elinewidth": 0.7, "ecolor": (*look["color"][:3], 0.4)}
    axes.errorbar(
        growths, values, yerr=spread, xerr=across, linestyle="none", markersize=4.5,
        label=name.partition("@")[0], **bars, **look,
    )  # fmt: skip


def _bars(intervals: Sequence[Record]) -> list[list[float]]:
    """Return the lengths below and above each value; 0 where an interval has no end."""
    below, above = [], []
    for one in intervals:
        ends = (one["low"], one["high"])
        low, high = (one["value"] if end is None else end for end in ends)
        below.append(max(0.0, one["value"] - low))
        above.append(max(0.0, high - one["value"]))
    return [below, above]


def draw_ladder(record: Record) -> Figure:
    """Draw the sizes that each study tried: order-LDS and relative error against cost per order.

    Each column of panels is a group of studies; the area of a marker is proportional to the
    precompute.
    """
    cells = [cell for cell in record["cells"] if cell.get("ladder")]
    groups = list(dict.fromkeys(cell["values"].get("group", "") for cell in cells))
    figure = style.new_figure(5.6, _label(record), width=max(8.0, 2.6 * len(groups)))
    rows = figure.subplots(2, len(groups), squeeze=False, sharex="col", sharey="row")
    for column, group in enumerate(groups):
        ranks, errors = rows[0][column], rows[1][column]
        members = [cell for cell in cells if cell["values"].get("group", "") == group]
        for index, cell in enumerate(members):
            _ladder(ranks, errors, cell, style.line(index))
        ranks.set_title(group)
        errors.set_xlabel("retrainings per order")
        errors.set_xscale("log", base=2)
        errors.xaxis.set_major_formatter(FuncFormatter(lambda value, _: share(value)))
        errors.legend(*ranks.get_legend_handles_labels(), loc="upper center",
                      bbox_to_anchor=(0.5, -0.28), fontsize=7.5)  # fmt: skip
        _scales(ranks, errors)
    rows[0][0].set_ylabel(CALIBRATION_RANK)
    rows[1][0].set_ylabel(ERROR)
    figure.legend(handles=_sizes(cells), loc="outside upper right", ncols=4)
    return figure


def _ladder(ranks: Axes, errors: Axes, cell: Record, look: Mapping[str, Any]) -> None:
    levels = cell["ladder"]["levels"]
    costs, area = [level[PER_ORDER] for level in levels], _area(_precompute(cell))
    lines, marker = {k: look[k] for k in ("color", "linestyle")}, look["marker"]
    columns = (
        (ranks, [level["order_lds"]["value"] for level in levels]),
        (errors, [level["relative_error"] for level in levels]),
    )
    for axes, values in columns:
        numbers = [float("nan") if value is None else value for value in values]
        axes.plot(costs, numbers, linewidth=1.1, **lines)
        axes.scatter(costs, numbers, s=area, marker=marker, color=look["color"])
    ranks.plot([], [], label=cell["label"], markersize=4, linewidth=1.1, **look)


def _precompute(cell: Record) -> float:
    """Return the precompute of the estimator whose size the study selected."""
    return float(cell["estimators"][cell["ladder"]["estimator"]][PRECOMPUTE])


def _area(precompute: float) -> float:
    """Return the area of a marker, in square points."""
    return 8 + 8 * precompute


def _sizes(cells: Sequence[Record]) -> list[Line2D]:
    """Return legend entries for the smallest and the largest precompute."""
    costs = [_precompute(cell) for cell in cells]
    return [
        Line2D([], [], linestyle="none", marker="o", color="0.4", markersize=_area(cost) ** 0.5,
               label=f"precompute: {cost:.3g}")
        for cost in dict.fromkeys((min(costs), max(costs)))
    ]  # fmt: skip


def _scales(ranks: Axes, errors: Axes) -> None:
    """Let the axes of correlations end at 1, and mark the error of "no effect"."""
    ranks.set_ylim(min(0.0, ranks.get_ylim()[0]), 1.02)
    errors.axhline(NO_EFFECT, color="0.35", linewidth=0.9, linestyle=(0, (4, 2)))
    errors.set_ylim(0.0, max(1.1, errors.get_ylim()[1]))


def _levels(cells: Sequence[Record]) -> list[str]:
    """Return the names of all levels, the cheapest one per order first."""
    costs: dict[str, float] = {}
    for cell in cells:
        for name, entry in estimators(cell).items():
            costs[name] = max(costs.get(name, 0.0), entry[PER_ORDER])
    return sorted(costs, key=lambda name: costs[name])


def _growth(cell: Record) -> float | None:
    value: float | None = cell.get("growth", {}).get("value")
    return value


def _rank(cell: Record, name: str) -> Record:
    rank: Record = cell["estimators"][name]["order_lds"]
    return rank


def _label(record: Record) -> str:
    return "\n".join(dict.fromkeys(environment_text(cell["made"]) for cell in record["cells"]))


def _error(cell: Record, name: str) -> float | None:
    error: float | None = cell["estimators"][name]["relative_error"]
    return error

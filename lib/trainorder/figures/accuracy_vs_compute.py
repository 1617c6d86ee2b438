"""Order-LDS of each estimator against its total compute."""

from collections.abc import Iterator, Sequence
from math import log
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.transforms import offset_copy
from scipy.optimize import isotonic_regression

from trainorder.evaluation.results import Results
from trainorder.figures import style

METRIC = "heldout"
_APART = 0.1  # share of the compute axis: marks that are nearer share a column of numbers
_LINE = 0.045  # share of the order-LDS axis: smallest distance between the numbers of a column


class Mark(NamedTuple):
    """The mark of an estimator: total compute in retrainings, and order-LDS with its interval."""

    estimator: str
    total: float
    rank: dict[str, float | None]

    @property
    def height(self) -> float:
        """Order-LDS, 0 where it is undefined."""
        return self.rank["value"] or 0.0


class Label(NamedTuple):
    """The place of a mark's number: left (-1) or right (1) of `total`, at `height`."""

    side: int
    total: float
    height: float


def marks(results: Results) -> list[Mark]:
    """Return the marks, cheapest first; an estimator that ran on no order has none."""
    unsorted = [
        Mark(name, score["cost"]["total_retrainings"], score["order_lds"][METRIC]["random"])
        for name in results.estimators
        if (score := results.score(name))["cost"]["total_retrainings"] is not None
    ]
    return sorted(unsorted, key=lambda mark: mark.total)


def draw(results: Results) -> Figure:
    """Draw order-LDS over random orders against total compute, one numbered mark per estimator."""
    drawn_marks, everything = marks(results), results.validation["retrain_all"]
    figure = style.new_figure(max(4.8, 0.24 * len(drawn_marks) + 1.2), results.label())
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    for number, mark in enumerate(drawn_marks, 1):
        _draw_mark(axes, mark, number, results)
    axes.axvline(
        everything["total_retrainings"], color="0.35", linewidth=0.9, linestyle=(0, (4, 2)),
        zorder=1, label=f"retrain all {everything['orders']} for real",
    )  # fmt: skip
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    values = [value for mark in drawn_marks for value in (mark.rank["value"], mark.rank["low"])]
    axes.set_ylim(min(-0.2, *(value for value in values if value is not None)) - 0.05, 1.08)
    for number, (mark, label) in enumerate(
        zip(drawn_marks, labels(drawn_marks, axes.get_xlim(), axes.get_ylim()), strict=True), 1
    ):
        _draw_label(axes, mark, number, label)
    axes.set_xlabel(
        f"total compute for {everything['orders']} orders: precompute, replay and evaluation "
        "(retrainings, counted)"
    )
    axes.set_ylabel(f"order-LDS of {METRIC}, random orders")
    confidence = results.validation["provenance"]["config"]["validation"]["confidence"]
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside right center", alignment="left",
        title=f"bars: {confidence:.0%} bootstrap interval over orders",
    )  # fmt: skip
    return figure


def _draw_mark(axes: Axes, mark: Mark, number: int, results: Results) -> None:
    look, rank = style.line(number - 1), mark.rank
    undefined = rank["value"] is None
    if rank["low"] is not None and rank["high"] is not None:
        axes.plot(
            [mark.total] * 2, [rank["low"], rank["high"]], color=look["color"], linewidth=1,
            zorder=2,
        )  # fmt: skip
    axes.plot(
        [mark.total], [mark.height], marker=look["marker"], color=look["color"], markersize=6,
        markerfacecolor="white" if undefined else look["color"], linestyle="none", zorder=3,
        gid=mark.estimator,
        label=f"{number}  {results.caption(mark.estimator)}{', undefined' if undefined else ''}",
    )  # fmt: skip


def _draw_label(axes: Axes, mark: Mark, number: int, label: Label) -> None:
    """Write the number of a mark, with a thin line to the mark."""
    beside = offset_copy(
        axes.transData, axes.get_figure(root=True), 9 * label.side, 0, units="points"
    )
    axes.annotate(
        str(number), (mark.total, mark.height), xytext=(label.total, label.height),
        textcoords=beside, ha="left" if label.side > 0 else "right", va="center",
        fontsize=8, zorder=4, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
        arrowprops={
            "arrowstyle": "-", "linewidth": 0.6, "color": style.line(number - 1)["color"],
            "relpos": (0 if label.side > 0 else 1, 0.5), "shrinkA": 0, "shrinkB": 3,
        },
    )  # fmt: skip


def labels(
    placed_marks: Sequence[Mark], totals: tuple[float, float], heights: tuple[float, float]
) -> list[Label]:
    """Return the places of the numbers of the marks, in columns beside the marks.

    The package adjustText is not used: it writes numbers on the bars of other marks. Its result
    also depends on a time limit and on the global random state, so figures would not be stable.

    Among marks with similar compute, the cheaper half has its column on the left, the others on the
    right.

    Args:
        placed_marks: the marks, cheapest first.
        totals: ends of the compute axis.
        heights: ends of the order-LDS axis.

    """
    placed = []
    for near in _clusters(placed_marks, _APART * log(totals[1] / totals[0])):
        half = len(near) // 2
        for side, column in ((-1, near[:half]), (1, near[half:])):
            end = near[0 if side < 0 else -1].total
            places = spread([mark.height for mark in column], heights, _LINE)
            placed += [Label(side, end, place) for place in places]
    return placed


def _clusters(sorted_marks: Sequence[Mark], gap: float) -> Iterator[list[Mark]]:
    """Yield groups of marks whose log compute is at most `gap` from that of the next mark."""
    group: list[Mark] = []
    for mark in sorted_marks:
        if group and log(mark.total / group[-1].total) > gap:
            yield group
            group = []
        group.append(mark)
    if group:
        yield group


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

"""What each estimator's ranking is worth against all the compute that it takes."""

from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from trainorder.figures import style
from trainorder.results import Results

METRIC = "heldout"


class Mark(NamedTuple):
    """An estimator's place: compute in retrainings, and its order-LDS with interval if it has."""

    estimator: str
    total: float
    rank: dict[str, float | None]


def marks(results: Results) -> list[Mark]:
    """Return the marks, cheapest first; an estimator that ran on no order has none."""
    found = [
        Mark(name, score["cost"]["total_retrainings"], score["order_lds"][METRIC]["random"])
        for name in results.estimators
        if (score := results.score(name))["cost"]["total_retrainings"] is not None
    ]
    return sorted(found, key=lambda mark: mark.total)


def draw(results: Results) -> Figure:
    """Draw order-LDS over random orders against total compute, a numbered mark an estimator."""
    found, everything = marks(results), results.validation["retrain_all"]
    figure = style.new_figure(max(4.8, 0.24 * len(found) + 1.2), results.label())
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    for number, mark in enumerate(found, 1):
        _draw_mark(axes, mark, number, results)
    axes.axvline(
        everything["total_retrainings"], color="0.35", linewidth=0.9, linestyle=(0, (4, 2)),
        zorder=1, label=f"retrain all {everything['orders']} for real",
    )  # fmt: skip
    axes.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    drawn = [value for mark in found for value in (mark.rank["value"], mark.rank["low"])]
    axes.set_ylim(min(-0.2, *(value for value in drawn if value is not None)) - 0.05, 1.08)
    axes.set_xlabel(
        f"total compute for {everything['orders']} orders: precompute, replay and evaluation "
        "(retrainings)"
    )
    axes.set_ylabel(f"order-LDS of {METRIC}, random orders")
    confidence = results.validation["provenance"]["config"]["validation"]["confidence"]
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside right center", alignment="left",
        title=f"bars: {confidence:.0%} bootstrap interval over orders",
    )  # fmt: skip
    return figure


def _draw_mark(axes: Axes, mark: Mark, number: int, results: Results) -> None:
    look, rank = style.line(number - 1), mark.rank
    undefined = rank["value"] is None
    value = 0.0 if rank["value"] is None else rank["value"]
    if rank["low"] is not None and rank["high"] is not None:
        axes.plot(
            [mark.total] * 2, [rank["low"], rank["high"]], color=look["color"], linewidth=1,
            zorder=2,
        )  # fmt: skip
    axes.plot(
        [mark.total], [value], marker=look["marker"], color=look["color"], markersize=6,
        markerfacecolor="white" if undefined else look["color"], linestyle="none", zorder=3,
        gid=mark.estimator,
        label=f"{number}  {results.caption(mark.estimator)}{', undefined' if undefined else ''}",
    )  # fmt: skip
    # Marks of like compute are neighbours in number: above and below in turn.
    side, aligned = ((4, 4), "bottom") if number % 2 else ((4, -4), "top")
    axes.annotate(
        str(number), (mark.total, value), xytext=side, va=aligned, textcoords="offset points",
        fontsize=8, zorder=4,
    )  # fmt: skip

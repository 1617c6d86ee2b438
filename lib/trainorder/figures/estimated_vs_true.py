"""Estimated against true held-out loss, one panel for each estimator.

The estimators of the overview have large panels, all others small ones.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.results import Point, Results
from trainorder.figures import overview, style
from trainorder.orders.order import CALIBRATION, HELD_BACK

_COLUMNS = 4  # of small panels
_LARGE, _SMALL = 1.7, 0.95  # inches, heights of a row of panels
_BAND = 50  # points at which the ends of the intervals are drawn
_REACH = 1.0  # estimates further from the true range than this, in ranges, are drawn at the edge


def draw(results: Results, structured: bool) -> Figure:
    """Draw one panel for each estimator: large ones for those of the overview.

    Args:
        results: results of the study.
        structured: show structured and custom orders too. Their effect is often so large that
            random orders become one blot, so there are two figures.

    """
    shown = [CALIBRATION, HELD_BACK, *(["structured", "custom"] if structured else [])]
    points = {
        name: [point for point in results.points(name, MAIN_METRIC) if point.split in shown]
        for name in results.estimators
    }
    span = _span(results, shown)
    large = large_panels(results)
    small = [name for name in results.estimators if name not in large]
    figure, panels = _panels(results, large, small)
    for name, axes in panels.items():
        _panel(axes, results, name, points[name], span)
        axes.tick_params(labelbottom=name in large, labelleft=name in large)
    present = [
        split for split in shown if any(p.split == split for q in points.values() for p in q)
    ]
    handles = [*style.split_handles(present), *_line_handles()]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def large_panels(results: Results) -> list[str]:
    """Return the estimators with large panels: the selected one first."""
    names = [panel.estimator for panel in overview.panels(results)]
    selected = results.validation["selected_estimator"]
    return sorted(names, key=lambda name: name != selected)


def _panels(
    results: Results, large: Sequence[str], small: Sequence[str]
) -> tuple[Figure, dict[str, Axes]]:
    """Return a new figure and the axes of every estimator in it."""
    rows = style.rows_of(len(small), _COLUMNS)
    height = _LARGE * bool(large) + _SMALL * rows
    figure = style.new_figure(height + 0.75, results.label())
    parts = [(large, len(large), _LARGE), (small, _COLUMNS, _SMALL * rows)]
    parts = [part for part in parts if part[0]]
    heights = [part[2] for part in parts]
    grids = figure.subfigures(len(parts), 1, height_ratios=heights, squeeze=False)
    axes: dict[str, Axes] = {}
    for (names, columns, _), grid in zip(parts, grids[:, 0], strict=True):
        axes |= dict(zip(names, style.panels(grid, len(names), columns), strict=True))
        grid.supylabel("estimated held-out loss", fontsize=6)
        grid.supxlabel("true held-out loss (nats per token)", fontsize=6)
    return figure, axes


def _line_handles() -> list[Artist]:
    return [
        Line2D([], [], color="0.2", linewidth=0.5, label="estimated = true"),
        Patch(facecolor="0.88", label="interval"),
        style.ring_handle("beyond the calibrated range"),
        style.edge_handle("off scale or diverged"),
    ]


def _span(results: Results, shown: Sequence[str]) -> tuple[float, float]:
    """Return the true range with a margin; the same in every panel."""
    values = [
        values[MAIN_METRIC]
        for order, values in results.truth.items()
        if (results.split(order) in shown or order == "reference")
        and math.isfinite(values[MAIN_METRIC])
    ]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 1e-3
    return low - margin, high + margin


def _panel(
    axes: Axes, results: Results, name: str, points: Sequence[Point], span: tuple[float, float]
) -> None:
    low, high = span
    reach = _REACH * (high - low)
    diverged = results.diverged(name)
    near = [
        point
        for point in points
        if point.order not in diverged and low - reach <= point.estimated <= high + reach
    ]
    bottom = min([low, *(point.estimated for point in near)])
    top = max([high, *(point.estimated for point in near)])
    margin = 0.05 * (top - bottom)
    bottom, top = bottom - margin, top + margin
    axes.set_xlim(low, high)
    axes.set_ylim(bottom, top)

    _intervals(axes, results, name, (bottom, top))
    axes.plot([low, high], [low, high], color="0.2", linewidth=0.5, zorder=1)
    for split, look in style.SPLITS.items():
        chosen = [point for point in near if point.split == split]
        if chosen:
            axes.scatter(
                [point.true for point in chosen], [point.estimated for point in chosen],
                **look, zorder=3 if split != CALIBRATION else 2, gid=f"{name}/{split}",
            )  # fmt: skip
    flagged = results.beyond(name, MAIN_METRIC)
    ringed = [point for point in near if point.order in flagged]
    style.ring(
        axes, [p.true for p in ringed], [p.estimated for p in ringed], gid=f"{name}/beyond range"
    )
    kept = {point.order for point in near}
    beyond = [point for point in points if point.order not in kept]
    edge = [bottom if point.estimated < bottom else top for point in beyond]
    style.flag_edge(axes, [point.true for point in beyond], edge)
    count = sum(point.order in diverged for point in beyond)
    note = style.beyond_note(count, len(beyond) - count, len(points))
    score = results.score(name)
    rank = score["order_lds"][MAIN_METRIC][HELD_BACK]
    lines = [style.name_text(name), f"ρ {style.rank_text(rank)}", score["verdict"]]
    # Room for the marks of points off scale, which are on the upper edge.
    axes.set_title("\n".join(lines), loc="left", fontsize=style.SMALLEST, pad=5)
    axes.set_xlabel(note, fontsize=style.SMALLEST)
    axes.locator_params(nbins=3)
    axes.set_gid(name)


def _intervals(axes: Axes, results: Results, name: str, ends: tuple[float, float]) -> None:
    """Draw the interval of every estimate between `ends`, as a band along the true values."""
    recalibration = results.recalibration(name, MAIN_METRIC)
    if recalibration.rank is None:
        return
    if recalibration.slope == 0:  # all estimates are equal, and have one interval
        value, low, high = recalibration.estimates(np.zeros(1))[0]
        axes.plot(
            [low, high], [value, value],
            color="0.88", linewidth=3, solid_capstyle="butt", zorder=0,
        )  # fmt: skip
        return
    estimated = np.linspace(*ends, _BAND)
    raw = (estimated - recalibration.intercept) / recalibration.slope
    _, low, high = recalibration.estimates(raw).T
    axes.fill_betweenx(estimated, low, high, color="0.88", linewidth=0, zorder=0)

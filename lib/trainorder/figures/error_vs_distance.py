"""Error against Kendall distance from the reference order, one panel for each estimator."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.results import Results
from trainorder.figures import style
from trainorder.orders.order import CALIBRATION, HELD_BACK

_COLUMNS = 4
_SPLITS = (CALIBRATION, HELD_BACK, "structured", "custom")
_DECADES = 2.0  # an error this many decades above the constant's median is drawn at the edge
Errors = dict[str, dict[str, float]]


def draw_loss(results: Results) -> Figure:
    """Draw the absolute error of the held-out loss."""
    errors = {
        name: {point.order: abs(point.estimated - point.true) for point in results.points(name)}
        for name in results.estimators
    }
    return _draw(
        results,
        errors,
        yardstick=_median_effect(results),
        meaning="median error of the mean of calibration orders",
        ylabel="|estimated − true| held-out loss\n(nats per token)",
    )


def _median_effect(results: Results) -> float:
    """Return the median |truth - mean of the calibration orders| of random orders, or NaN."""
    true = {
        split: [v[MAIN_METRIC] for o, v in results.truth.items() if results.split(o) == split]
        for split in (CALIBRATION, HELD_BACK)
    }
    if not all(true.values()):
        return math.nan
    return float(np.median(np.abs(np.array(true[HELD_BACK]) - np.mean(true[CALIBRATION]))))


def draw_parameters(results: Results) -> Figure:
    """Draw the error of the final parameters, relative to their displacement from the reference."""
    errors = {  # estimators that estimate parameters
        name: {order: along[max(along)] for order, along in results.trajectories[name].items()}
        for name in results.estimators
        if name in results.trajectories
    }
    return _draw(
        results,
        errors,
        yardstick=1.0,
        meaning="error as large as the order's own displacement",
        ylabel="error of the final parameters\n(displacements from the reference)",
    )


def _draw(results: Results, errors: Errors, yardstick: float, meaning: str, ylabel: str) -> Figure:
    n = len(errors)
    figure = style.new_figure(0.95 * style.rows_of(max(n, 1), _COLUMNS) + 0.75, results.label())
    if not errors:
        figure.text(0.5, 0.5, "no estimator of this study estimates parameters", ha="center")
        return figure
    axes = style.panels(figure, n, _COLUMNS, sharex=True, sharey=True)
    low, high = _limits(results, errors, yardstick)
    for panel, name in zip(axes, errors, strict=True):
        _panel(panel, results, name, errors[name], (low, high))
        panel.axhline(yardstick, color="0.35", linewidth=0.6, linestyle=(0, (4, 2)), zorder=1)
        panel.set_xlim(-0.04, 1.04)
    for panel in axes[-min(n, _COLUMNS) :]:
        panel.tick_params(labelbottom=True)
        panel.set_xlabel("distance")
    figure.supylabel(ylabel, fontsize=6)
    present = {results.split(order) for by_order in errors.values() for order in by_order}
    handles = style.split_handles([split for split in _SPLITS if split in present])
    handles += style.line_handles(yardstick=meaning, edge="off scale or diverged")
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _limits(results: Results, errors: Errors, yardstick: float) -> tuple[float, float]:
    """Return limits that contain all finite errors, up to `_DECADES` above the yardstick."""
    positive = [
        error
        for name, by_order in errors.items()
        for order, error in by_order.items()
        if 0 < error < math.inf and order not in results.diverged(name)
    ]
    scale = yardstick if yardstick > 0 else float(np.median(positive)) if positive else 1.0
    high = min(max([scale, *positive]), scale * 10**_DECADES)
    low = max(min([scale, *positive]), scale * 1e-4)
    return low / 1.6, high * 1.6


def _panel(
    axes: Axes, results: Results, name: str, errors: dict[str, float], limits: tuple[float, float]
) -> None:
    low, high = limits
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    diverged = results.diverged(name)
    distance = {order: float(results.orders[order]["kendall"]) for order in errors}
    for split in _SPLITS:
        shown = {
            order: max(error, low)  # an exact estimate is drawn on the lower edge
            for order, error in errors.items()
            if results.split(order) == split and order not in diverged and error <= high
        }
        if shown:
            axes.scatter(
                [distance[order] for order in shown], list(shown.values()),
                **style.SPLITS[split], gid=f"{name}/{split}", zorder=3, clip_on=False,
            )  # fmt: skip
    beyond = [order for order, error in errors.items() if order in diverged or not error <= high]
    style.flag_edge(axes, [distance[order] for order in beyond], [high] * len(beyond))
    count = len(diverged.intersection(beyond))
    note = style.beyond_note(count, len(beyond) - count, len(errors))
    lines = [style.name_text(name, 15), results.warning(name), note]
    axes.set_title("\n".join(filter(None, lines)), loc="left", fontsize=style.SMALLEST)

"""Gain of searched orders over other ways to choose an order, by study."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainorder.evaluation.results import Results
from trainorder.figures import style

BASELINES = {
    "random_mean": "the mean random order",
    "same_compute": "the best random order\nfor the same compute",
    "field": "the best heuristic order",
}
_POINTS = (
    "each row has its own scale; a point is one study with its own search and its own seeds of "
    "data and order"
)


def draw(results: Results) -> Figure:
    """Draw the gains of the replicates of a study."""
    if results.replicates is None:
        raise ValueError("the study has no replicates")
    return draw_groups(results.replicates["groups"], results.label(_POINTS))


def draw_groups(
    groups: Mapping[str, Mapping[str, Any]], note: str, width: float = style.WIDTH
) -> Figure:
    """Draw one row for each group of studies, on its own scale, with one panel for each baseline.

    Args:
        groups: the gains of each group, as in `replicates.json`.
        note: the line below the figure.
        width: in inches.

    """
    figure = style.new_figure(0.185 * width * len(groups) + 0.7, note, width)
    grid = figure.subplots(len(groups), len(BASELINES), squeeze=False, sharex="row")
    for row, (name, group) in zip(grid, groups.items(), strict=True):
        row[0].set_ylabel(style.wrapped(name.replace("_", " "), 14))
        for axes, baseline in zip(row, BASELINES, strict=True):
            _panel(axes, group["gains"][baseline])
    for axes, title in zip(grid[0], BASELINES.values(), strict=True):
        axes.set_title(f"against\n{title}", loc="left")
    for axes in grid[-1]:
        axes.set_xlabel("gain (nats per token)")
    return figure


def _panel(axes: Axes, gain: Mapping[str, Any]) -> None:
    """Draw one point for each study, and below them the mean with its interval."""
    values = np.array(gain["values"], dtype=float)
    axes.axvline(0, color="0.4", linewidth=0.6)
    axes.scatter(values, np.ones(len(values)), s=6, color=style.GREY, linewidth=0)
    axes.scatter(gain["value"], 0, s=12, color="#31688e", zorder=3)
    if gain["low"] is not None:
        axes.plot([gain["low"], gain["high"]], [0, 0], color="#31688e")
    axes.locator_params(axis="x", nbins=4)  # labels of small gains are wide
    axes.set_ylim(-0.8, 1.8)
    axes.set_yticks([])

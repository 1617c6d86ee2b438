"""What searched orders gain over other ways of choosing one, by study."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainorder.figures import style
from trainorder.results import Results

BASELINES = {
    "random_mean": "the mean random order",
    "same_compute": "the best random order\nfor the same compute",
    "field": "the best order of the field",
}
_POINTS = "a point is one study: its own seeds of data and order, its own search"


def draw(results: Results) -> Figure:
    """Draw a panel for each baseline: a point a study, and the mean with its interval."""
    if results.replicates is None:
        raise ValueError("the study replicated nothing")
    groups = results.replicates["groups"]
    figure = style.new_figure(0.45 * len(groups) + 1.8, results.label(_POINTS))
    axes = style.panels(figure, len(BASELINES), len(BASELINES), sharey=True)
    for panel, (baseline, title) in zip(axes, BASELINES.items(), strict=True):
        for row, group in enumerate(groups.values()):
            _row(panel, row, group["gains"][baseline])
        panel.axvline(0, color="0.4", linewidth=0.9)
        panel.set_title(f"against {title}", loc="left")
        panel.set_xlabel("gain (nats per token)")
        panel.set_ylim(len(groups) - 0.5, -0.5)
        panel.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(groups)), labels=list(groups))
    return figure


def _row(axes: Axes, row: int, gain: Mapping[str, Any]) -> None:
    values = np.array(gain["values"], dtype=float)
    axes.scatter(values, np.full(len(values), row) - 0.15, s=18, color=style.GREY, linewidth=0)
    axes.scatter(gain["value"], row + 0.1, s=30, color="#31688e", zorder=3)
    if gain["low"] is not None:
        axes.plot([gain["low"], gain["high"]], [row + 0.1] * 2, color="#31688e")

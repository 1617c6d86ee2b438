"""Spread of the true metrics over orders, by kind of order."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainorder.data.metrics import is_loss
from trainorder.evaluation.results import Results
from trainorder.figures import style
from trainorder.orders.order import CALIBRATION, HELD_BACK, REFERENCE

_COLUMNS = 3


def draw(results: Results) -> Figure:
    """Draw the true loss of each order minus the reference's, one panel for each loss."""
    kinds, metrics = order_kinds(results), [m for m in results.shown_metrics if is_loss(m)]
    rows = style.rows_of(len(metrics), _COLUMNS)
    figure = style.new_figure(rows * (0.1 * len(kinds) + 0.5) + 0.25, results.label())
    axes = style.panels(figure, len(metrics), _COLUMNS, sharex=True, sharey=True)
    for panel, metric in zip(axes, metrics, strict=True):
        _panel(panel, results, metric, kinds)
    axes[0].set_ylim(len(kinds) - 0.4, -0.6)
    for panel in axes[-_COLUMNS:]:
        panel.tick_params(labelbottom=True)
        panel.set_xlabel("against reference")
    return figure


def order_kinds(results: Results) -> dict[str, list[str]]:
    """Return the orders of each kind, the largest kind (random) first."""
    kinds: dict[str, list[str]] = {}
    for name, record in results.orders.items():
        if name != REFERENCE:
            kind = str(record["kind"])
            kinds.setdefault(
                f"{name} (custom)" if record["split"] == "custom" else kind, []
            ).append(name)
    return dict(sorted(kinds.items(), key=lambda item: -len(item[1])))


def _panel(axes: Axes, results: Results, metric: str, kinds: dict[str, list[str]]) -> None:
    base = results.truth[REFERENCE][metric]
    for row, (kind, names) in enumerate(kinds.items()):
        effect = np.array([results.truth[name][metric] for name in names]) - base
        # Staggered without random numbers, so that the figure is always the same.
        stagger = ((np.arange(len(names)) * 0.618) % 1 - 0.5) * 0.6 if len(names) > 5 else 0.0
        split = results.split(names[0])
        look = style.SPLITS[HELD_BACK if split == CALIBRATION else split]
        axes.scatter(effect, row + stagger * np.ones(len(names)), **look, zorder=3, gid=kind)
    for row in range(0, len(kinds), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="0.96", linewidth=0, zorder=0)
    axes.axvline(0, color="0.4", linewidth=0.5, zorder=1)
    axes.set_yticks(
        range(len(kinds)),
        labels=[f"{kind} ({len(n)})" if len(n) > 1 else kind for kind, n in kinds.items()],
        fontsize=style.SMALLEST,
    )
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=2)
    axes.xaxis.set_major_formatter("{x:g}")
    spread = results.validation["spread"][metric].get(HELD_BACK, {}).get("std")
    note = "" if spread is None else f"\nspread {spread:.2g}"
    axes.set_title(f"{style.metric_text(metric)}{note}", loc="left")

"""The study at a glance: estimated against true loss of random orders, for three estimators."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.results import Point, Results
from trainorder.figures import style
from trainorder.orders.order import HELD_BACK

PUBLISHED = "fut@reference"
EXACT = ("taylor1@barycentre", "taylor1@reference", "taylor2@barycentre", "taylor2@reference")
_HEIGHT = 2.27  # inches
_SUMMARY = 31  # points: height of the text between title and panel
_MARGIN = 0.06  # of the range of the true losses


class Panel(NamedTuple):
    """What a panel shows: the role of an estimator, and the estimator."""

    role: str
    estimator: str


def panels(results: Results) -> list[Panel]:
    """Return the panels; a role without an estimator that ran on random orders has none."""
    roles = {
        "Published method": [PUBLISHED],
        "Recommended": [results.validation["selected_estimator"]],
        "Exact expansion": EXACT,
    }
    chosen: list[Panel] = []
    for role, candidates in roles.items():
        usable = [
            name
            for name in candidates
            if name in results.estimators
            and random_points(results, name)
            and name not in [panel.estimator for panel in chosen]
        ]
        if usable:
            chosen.append(Panel(role, usable[0]))
    return chosen


def random_points(results: Results, estimator: str) -> list[Point]:
    """Return the estimates of held-back random orders."""
    return [point for point in results.points(estimator, MAIN_METRIC) if point.split == HELD_BACK]


def draw(results: Results) -> Figure:
    """Draw a panel for each role; all panels share both axes."""
    chosen = panels(results)
    figure = style.new_figure(_HEIGHT, results.label())
    if not chosen:
        figure.text(0.5, 0.5, "no estimator of this study ran on random orders", ha="center")
        return figure
    axes = figure.subplots(1, len(chosen), sharex=True, sharey=True, squeeze=False)[0]
    limits = _limits(results)
    for panel_axes, panel in zip(axes, chosen, strict=True):
        _draw_panel(panel_axes, results, panel, limits)
    axes[0].set_ylabel("estimated loss")
    axes[0].text(
        0.72, 0.74, "estimated = true", transform=axes[0].transAxes, rotation=45,
        rotation_mode="anchor", ha="center", va="bottom", fontsize=style.SMALLEST, color="0.35",
    )  # fmt: skip
    axes[len(axes) // 2].set_xlabel("true held-out loss after retraining (nats per token)")
    return figure


def _limits(results: Results) -> tuple[float, float]:
    """Return the range of the true losses of random orders, with a margin."""
    values = [
        losses[MAIN_METRIC]
        for order, losses in results.truth.items()
        if results.split(order) == HELD_BACK and math.isfinite(losses[MAIN_METRIC])
    ]
    low, high = min(values), max(values)
    margin = _MARGIN * (high - low) or 1e-3
    return low - margin, high + margin


def _draw_panel(axes: Axes, results: Results, panel: Panel, limits: tuple[float, float]) -> None:
    low, high = limits
    points = random_points(results, panel.estimator)
    inside = [point for point in points if low <= point.estimated <= high]
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    axes.set_box_aspect(1)
    axes.locator_params(nbins=3)
    axes.plot(limits, limits, color="0.35", linewidth=0.6, zorder=1)
    axes.scatter(
        [point.true for point in inside],
        [point.estimated for point in inside],
        gid=panel.estimator,
        zorder=2,
        **style.SPLITS[HELD_BACK],
    )
    _mark_outside(axes, [point for point in points if point not in inside], limits, len(points))
    axes.set_title(panel.role, loc="left", fontweight="bold", pad=_SUMMARY, fontsize=6)
    # The title reserves the height of this text, which may be wider than the panel.
    axes.annotate(
        _summary(results, panel.estimator), (0, 1), xycoords="axes fraction",
        xytext=(0, 3), textcoords="offset points", fontsize=5.5, linespacing=1.2, in_layout=False,
    )  # fmt: skip


def _mark_outside(
    axes: Axes, outside: Sequence[Point], limits: tuple[float, float], count: int
) -> None:
    """Mark estimates beyond the axes on their edge, and count them."""
    low, high = limits
    edge = [low if point.estimated < low else high for point in outside]
    style.flag_edge(axes, [point.true for point in outside], edge)
    if outside:
        axes.text(
            0.97, 0.04, f"{len(outside)} of {count} off scale",
            transform=axes.transAxes, fontsize=style.SMALLEST, color="0.3", ha="right",
        )  # fmt: skip


def _summary(results: Results, estimator: str) -> str:
    """Return name, rank correlation, number of orders, and verdict."""
    score = results.score(estimator)
    rank = score["order_lds"][MAIN_METRIC][HELD_BACK]
    return "\n".join(
        [
            style.name_text(estimator),
            f"ρ {style.rank_text(rank)}",
            f"{rank['n']} random orders",
            score["verdict"],
        ]
    )

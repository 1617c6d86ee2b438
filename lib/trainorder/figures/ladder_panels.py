"""The panels of a ladder: order-LDS and relative error of each level, against its cost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from trainorder.evaluation.verdict import TRUSTED_CORRELATION, TRUSTED_RELATIVE_ERROR

_COLOUR = "#31688e"

Levels = Sequence[Mapping[str, Any]]


def draw_levels(
    panels: Sequence[Axes],
    levels: Levels,
    *,
    cost: str,
    value: Callable[[Mapping[str, Any]], str],
) -> None:
    """Draw order-LDS into the first of two panels and the relative error into the second.

    Args:
        panels: both panels.
        levels: with `order_lds` and `relative_error` on the calibration orders.
        cost: the field of a level with its cost, the horizontal axis.
        value: returns what a level selects, which is shown below the cost.

    """
    _ranks(panels[0], levels, cost)
    _errors(panels[1], levels, cost)
    for panel in panels:
        panel.set_xscale("log", base=2)
        panel.set_xticks(
            [level[cost] for level in levels],
            labels=[f"{level[cost]:.2g}\n{value(level)}" for level in levels],
        )
        panel.minorticks_off()


def mark_selected(panels: Sequence[Axes], cost: float) -> None:
    """Shade the cost of the selected level."""
    for panel in panels:
        panel.axvline(cost, color=_COLOUR, linewidth=6, alpha=0.15, zorder=0)


def _ranks(axes: Axes, levels: Levels, cost: str) -> None:
    shown = [level for level in levels if level["order_lds"]["value"] is not None]
    costs = [level[cost] for level in shown]
    ranks = [level["order_lds"] for level in shown]
    axes.plot(costs, [rank["value"] for rank in ranks], "o-", color=_COLOUR)
    axes.vlines(
        costs,
        [rank["low"] for rank in ranks],
        [rank["high"] for rank in ranks],
        color=_COLOUR,
        linewidth=0.8,
    )
    axes.axhline(TRUSTED_CORRELATION, color="0.4", linewidth=0.6, linestyle=(0, (5, 2)))
    axes.set_ylim(top=1.03)
    axes.set_ylabel("order-LDS")
    axes.set_title("trusted: lower end\nabove the line", loc="left")


def _errors(axes: Axes, levels: Levels, cost: str) -> None:
    shown = [level for level in levels if level["relative_error"] is not None]
    axes.plot(
        [level[cost] for level in shown],
        [level["relative_error"] for level in shown],
        "o-",
        color=_COLOUR,
    )
    axes.axhline(TRUSTED_RELATIVE_ERROR, color="0.4", linewidth=0.6, linestyle=(0, (5, 2)))
    axes.axhline(1.0, color="0.8", linewidth=0.6)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("relative error")
    axes.set_title("trusted: below\nthe dashed line", loc="left")

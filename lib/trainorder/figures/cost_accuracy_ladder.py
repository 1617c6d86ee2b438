"""How accuracy grows with the size of the subsample, and which size was selected."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import TRUSTED_CORRELATION, TRUSTED_RELATIVE_ERROR
from trainorder.figures import style

_COLOUR = "#31688e"


def draw(results: Results) -> Figure:
    """Draw order-LDS and relative error of each size that was tried, against its cost."""
    if results.ladder is None:
        raise ValueError("the study selected no size")
    content = results.ladder
    figure = style.new_figure(3.4, results.label(_text(content)))
    rank, error = figure.subplots(1, 2)
    levels = content["levels"]
    _ranks(rank, levels)
    _errors(error, levels)
    for panel in (rank, error):
        _mark_selected(panel, content)
        panel.set_xscale("log", base=2)
        panel.set_xticks(
            [level["per_order_retrainings"] for level in levels],
            labels=[f"{level['per_order_retrainings']:.2g}\n({level['size']})" for level in levels],
        )
        panel.minorticks_off()
        panel.set_xlabel("retrainings per order (size)")
    return figure


def _text(content: Mapping[str, Any]) -> str:
    following = content["next"]
    more = ""
    if following:
        more = (
            f"; the next size, {following['size']}, would cost "
            f"{following['per_order_retrainings']:.2g} retrainings per order"
        )
    return f"{content['estimator']}: size {content['selected']}, {content['reason']}{more}"


def _ranks(axes: Axes, levels: Sequence[Mapping[str, Any]]) -> None:
    shown = [level for level in levels if level["order_lds"]["value"] is not None]
    costs = [level["per_order_retrainings"] for level in shown]
    ranks = [level["order_lds"] for level in shown]
    axes.plot(costs, [rank["value"] for rank in ranks], "o-", color=_COLOUR)
    axes.vlines(
        costs,
        [rank["low"] for rank in ranks],
        [rank["high"] for rank in ranks],
        color=_COLOUR,
        linewidth=1.2,
    )
    axes.axhline(TRUSTED_CORRELATION, color="0.4", linewidth=0.9, linestyle=(0, (5, 2)))
    axes.set_ylim(top=1.03)
    axes.set_ylabel("order-LDS, calibration orders")
    axes.set_title("trusted: lower end above the line", loc="left")


def _errors(axes: Axes, levels: Sequence[Mapping[str, Any]]) -> None:
    shown = [level for level in levels if level["relative_error"] is not None]
    axes.plot(
        [level["per_order_retrainings"] for level in shown],
        [level["relative_error"] for level in shown],
        "o-",
        color=_COLOUR,
    )
    axes.axhline(TRUSTED_RELATIVE_ERROR, color="0.4", linewidth=0.9, linestyle=(0, (5, 2)))
    axes.axhline(1.0, color="0.8", linewidth=0.9)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("relative error, calibration orders")
    axes.set_title("trusted: below the dashed line", loc="left")


def _mark_selected(axes: Axes, content: Mapping[str, Any]) -> None:
    [chosen] = [level for level in content["levels"] if level["size"] == content["selected"]]
    axes.axvline(chosen["per_order_retrainings"], color=_COLOUR, linewidth=6, alpha=0.15, zorder=0)

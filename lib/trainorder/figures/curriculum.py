"""Estimated and true objective of searched, heuristic and random orders."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from trainorder.curriculum.objective_words import is_final_loss, objective_text
from trainorder.evaluation.results import Results
from trainorder.figures import style

_KINDS = {
    "searched": {"marker": "o", "color": "#31688e"},
    "field": {"marker": "^", "color": "#b63679"},
}
_PROGRESS = 1.1  # inches, height of the panel of a search by steps
_LABELS = {"searched": "searched", "field": "heuristic"}  # in the legend


def draw(results: Results) -> Figure:
    """Draw one row for each retrained order, best first, and one row for the random orders."""
    if results.curriculum is None:
        raise ValueError("the study did not search for orders")
    content = results.curriculum
    orders = sorted(
        (order for order in content["orders"] if order["true"] is not None),
        key=lambda order: float(order["true"]),
    )
    rows, steps = 0.115 * len(orders) + 1.3, content.get("step_search")
    figure = style.new_figure(
        rows + (_PROGRESS if steps else 0), results.label(_objective(content))
    )
    if steps:
        axes, below = figure.subplots(2, height_ratios=[rows, _PROGRESS])
        _progress(below, steps, content["random"]["mean"], _axis(content))
    else:
        axes = figure.subplots()
    _random(axes, content["random"], len(orders))
    _best_of(axes, content)
    for row, order in enumerate(orders):
        _row(axes, row, order)
    names = [_name(order, content["winner"]) for order in orders]
    names.append(f"random ({content['random']['n']})")
    axes.set_yticks(range(len(names)), labels=names, fontsize=style.SMALLEST)
    axes.set_ylim(len(orders) + 0.6, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{_axis(content)} (nats per token; lower is better)")
    figure.legend(handles=_handles(), loc="outside upper center", ncols=2)
    return figure


def _axis(content: Mapping[str, Any]) -> str:
    """Return the name of what is lowered; the label below the figure has its terms."""
    return "held-out loss" if is_final_loss(content) else "objective"


def _progress(axes: Axes, steps: Mapping[str, Any], mean: float, name: str) -> None:
    """Draw the best known order of a search by steps against what it has spent."""
    spent = [0.0, *(one["retrainings"] for one in steps["rounds"])]
    best = [min(steps["starts"]), *(one["best"] for one in steps["rounds"])]
    axes.step(spent, best, where="post", color=_KINDS["searched"]["color"], gid="best so far")
    for one in steps["rounds"]:
        for estimate, true in zip(one["estimates"], one["true"], strict=True):
            axes.plot([one["retrainings"]] * 2, [estimate, true], color=style.GREY, linewidth=0.5)
            axes.scatter(one["retrainings"], true, s=5, color=style.GREY, linewidth=0)
    axes.axhline(mean, color="0.4", linewidth=0.6)
    axes.set_title("search by steps: the best order, and the retrained ones", loc="left")
    axes.set_xlabel("spent (retrainings)")
    axes.set_ylabel(name)


def _objective(content: Mapping[str, Any]) -> str:
    confirming = _confirming(content)
    verdict = content["verdicts"][confirming]
    return f"searches lower the {objective_text(content)}; estimates of {confirming} ({verdict})"


def _confirming(content: Mapping[str, Any]) -> str:
    """Return the estimator that scored the best orders again, the last of the two."""
    return str([*content["verdicts"]][-1])


def _name(order: Mapping[str, Any], winner: str) -> str:
    broken = order["search"].get("violations")
    note = f" (breaks constraints: {broken})" if broken else ""
    return f"{order['name']}{' (winner)' if order['name'] == winner else ''}{note}"


def _random(axes: Axes, random: Mapping[str, Any], row: int) -> None:
    values = np.array(list(random["true"].values()))
    stagger = ((np.arange(len(values)) * 0.618) % 1 - 0.5) * 0.6
    axes.scatter(values, row + stagger, s=4, color=style.GREY, linewidth=0, gid="random")
    axes.axvline(random["mean"], color="0.4", linewidth=0.6, zorder=1)


def _best_of(axes: Axes, content: Mapping[str, Any]) -> None:
    """Mark the expected best of as many random orders as the compute of the search retrains."""
    compute, winner = content["compute"], content["winner"]
    true = next(order["true"] for order in content["orders"] if order["name"] == winner)
    value = true + content["gains"]["same_compute"]["value"]
    axes.axvline(value, color="0.4", linewidth=0.6, linestyle=(0, (5, 2)))
    count, had = compute["random_orders_for_it"], compute["random_orders_had"]
    what = f"expected best of {count}" if count <= had else f"best of all {had}, not of {count},"
    axes.text(
        value, -0.62, f"{what} random orders ",
        fontsize=style.SMALLEST, color="0.35", ha="right", va="bottom",
    )  # fmt: skip


def _row(axes: Axes, row: int, order: Mapping[str, Any]) -> None:
    """Mark the true objective and the last estimate; the start of a search has none."""
    look = _KINDS[order["kind"]]
    for estimate in [*order["estimates"].values()][-1:]:
        if estimate["low"] is not None:
            axes.plot(
                [estimate["low"], estimate["high"]], [row, row], color=look["color"], linewidth=0.5
            )
        axes.scatter(
            estimate["value"], row, s=9, marker=look["marker"], facecolor="white",
            edgecolor=look["color"], zorder=3, gid=f"estimated {order['name']}",
        )  # fmt: skip
    axes.scatter(
        order["true"], row, s=9, marker=look["marker"], color=look["color"], zorder=4,
        gid=f"true {order['name']}",
    )  # fmt: skip


def _handles() -> Sequence[Line2D]:
    def handle(name: str, **look: Any) -> Line2D:
        return Line2D([], [], linestyle="none", label=name, **look)

    marks = [
        handle(f"{_LABELS[kind]} order, {what}", markerfacecolor=face or look["color"], **look)
        for kind, look in _KINDS.items()
        for what, face in (("retrained", ""), ("estimated", "white"))
    ]
    marks.append(handle("random order, retrained", marker="o", color=style.GREY, markersize=2))
    return [*marks, Line2D([], [], color="0.4", linewidth=0.6, label="mean of held-back orders")]

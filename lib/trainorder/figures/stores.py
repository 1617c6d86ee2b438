"""Stores of the gradient table: bytes against the errors of table, parameters and loss.

The stores of residuals that `corrected` reads instead of a table, and the low-rank and the reduced
model, which contain more than the table, are shown beside them.
"""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from trainorder.config.methods import METHODS
from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.results import Results
from trainorder.figures import style
from trainorder.orders.order import HELD_BACK
from trainorder.storage.formats import size_text

Record = Mapping[str, Any]
PANELS = {
    "table_error": "error of what is\nstored (of its norm)",
    "parameter_error": "error of the final parameters\n(of their displacement)",
    "loss_error": "error of the held-out loss\n(nats per token)",
}
_PUBLISHED = "jl"  # the random projection of the published method
_REPRODUCED = {name: method.reproduces for name, method in METHODS.items() if method.reproduces}
_MODEL_MARKERS = dict(zip(_REPRODUCED, itertools.cycle("h<>p8"), strict=False))
_SINGLE = ("float16", "int8")  # kinds with one size only
_COLOURS = {  # one colour for each family; dashes and markers for its members
    "dense": "0.2",
    "float16": "#21130d",
    "int8": "#21130d",
    "anchors": "#31688e",
    "jl": "#b63679",
    "sparse_jl": "#e8853a",
    "low-rank": "#21918c",
    "range finder": "#5ec962",
    "single pass": "#440154",
}
_MARKERS = {"float16": "P", "int8": "X", "anchors": "o", "jl": "v", "sparse_jl": "^"} | {
    "low-rank": "s",
    "range finder": "D",
    "single pass": "p",
}
_RESIDUAL_ERRORS = {"table_error": "residual_error"}  # fields of other names in these stores
_RESIDUAL_COLOUR, _RESIDUAL_MARKERS = "#2f6bff", {"float16": "P", "int8": "X"}
_RATIOS = [2**power for power in range(1, 21, 3)]  # compressions with a tick on the axis


def draw(results: Results) -> Figure:
    """Draw one curve for each kind of store in each panel; both axes are logarithmic.

    If the table was too large for a comparison, the figure says so.
    """
    if results.stores is None:
        raise ValueError("the study did not compare stores")
    content = results.stores
    figure = style.new_figure(3.9, label(results, content))
    if not content["stores"]:
        note = (
            "the gradient table is too large: two of its steps exceed the limit of the comparison"
        )
        figure.text(0.5, 0.5, note, ha="center")
        return figure
    grid = figure.subplots(2, 2)
    axes, corner = list(grid.flat)[: len(PANELS)], grid[1, 1]
    corner.set_axis_off()
    families = curves(content["stores"])
    for panel, (field, title) in zip(axes, PANELS.items(), strict=True):
        for name, records in families.items():
            _curve(panel, name, records, field, content["published_ratio"])
        _residuals(panel, field, content)
        if field == "loss_error":
            _models(panel, results)
        _finish(panel, field, content)
        panel.set_title(title, loc="left")
    corner.legend(
        handles=[
            *_handles(families, content["published_ratio"]),
            *_residual_handles(content),
            *_model_handles(results),
        ],
        loc="center left", bbox_to_anchor=(-0.15, 0.45), fontsize=style.SMALLEST, handlelength=2.6,
        labelspacing=0.25,
    )  # fmt: skip
    return figure


def label(results: Results, content: Mapping[str, Any]) -> str:
    """Return the line under the figure."""
    steps, all_steps = content["steps"], content["window_steps"]
    part = "" if steps == all_steps else f"first {steps} of {all_steps} steps, "
    return results.label(f"{part}order0 about the {content['path']} path")


def curves(stores: Sequence[Record]) -> dict[str, list[Record]]:
    """Return the records of each kind of store and way to read it, the largest first."""
    by_name: dict[str, list[Record]] = {}
    for record in stores:
        name = record["store"] + (f", {record['read']}" if record["read"] else "")
        by_name.setdefault(name, []).append(record)
    return {
        name: sorted(records, key=lambda record: -int(record["bytes"]))
        for name, records in by_name.items()
    }


def _look(name: str) -> dict[str, Any]:
    kind, _, rest = name.partition(", ")
    dashed = rest in ("int8", "least squares")
    return {
        "color": _COLOURS.get(kind, "0.2"),
        "marker": _MARKERS.get(kind, "s"),
        "linestyle": "none" if kind in _SINGLE else (0, (3, 1.5)) if dashed else "-",
        "markerfacecolor": "white" if dashed else _COLOURS.get(kind, "0.2"),
        "markersize": 2.5,
    }


def _curve(axes: Axes, name: str, records: Sequence[Record], field: str, published: float) -> None:
    """Draw the records with a positive error; a logarithmic axis cannot show an exact store."""
    shown = [record for record in records if record[field]]
    if not shown:
        return
    axes.plot(
        [record["bytes"] for record in shown], [record[field] for record in shown],
        **_look(name), gid=f"{field}/{name}", zorder=3,
    )  # fmt: skip
    for record in shown:
        estimate = record["estimated_table_error"] if field == "table_error" else None
        if estimate:
            axes.plot(
                [record["bytes"]] * 2, [estimate["low"], estimate["high"]],
                color=_look(name)["color"], linewidth=2.5, alpha=0.35, zorder=1,
            )  # fmt: skip
        if record["store"] == _PUBLISHED and is_published(record, published):
            axes.plot(
                [record["bytes"]], [record[field]], marker="*", markersize=7, color="gold",
                markeredgecolor="0.2", linestyle="none", zorder=4, gid=f"{field}/published",
            )  # fmt: skip


def residual_points(content: Mapping[str, Any], field: str) -> dict[str, tuple[int, float]]:
    """Return bytes and error of each store of residuals, by its name; exact ones have none."""
    records = content["residuals"]["stores"] if content["residuals"] else []
    name = _RESIDUAL_ERRORS.get(field, field)
    return {r["store"]: (int(r["bytes"]), float(r[name])) for r in records if r[name]}


def _residual_look(name: str) -> dict[str, Any]:
    return {
        "marker": _RESIDUAL_MARKERS.get(name, "s"),
        "markersize": 4,
        "color": _RESIDUAL_COLOUR,
        "linestyle": "none",
    }


def _residuals(axes: Axes, field: str, content: Mapping[str, Any]) -> None:
    for name, (size, error) in residual_points(content, field).items():
        axes.plot(
            [size], [error], **_residual_look(name), zorder=4, gid=f"{field}/residuals, {name}"
        )  # fmt: skip


def _residual_handles(content: Mapping[str, Any]) -> list[Artist]:
    return [
        Line2D([], [], **_residual_look(name), label=f"residuals, {name}")
        for name in residual_points(content, "table_error")
    ]


def models(results: Results) -> dict[str, tuple[int, float]]:
    """Return bytes and mean error of `heldout` of each stored model, by name of the estimator.

    The error is the difference of raw estimates from those of the estimator that the model
    reproduces, over random orders.
    """
    result = {}
    for name in results.estimators:
        method, _, path = name.partition("@")
        original = results.raw.get(f"{_REPRODUCED.get(method)}@{path}", {})
        common = [o for o in results.raw[name] if o in original and results.split(o) == HELD_BACK]
        if common:
            errors = [
                abs(results.raw[name][order][MAIN_METRIC] - original[order][MAIN_METRIC])
                for order in common
            ]
            result[name] = (int(results.score(name)["cost"]["bytes"]), statistics.fmean(errors))
    return result


def _model_look(name: str) -> dict[str, Any]:
    marker = _MODEL_MARKERS[name.partition("@")[0]]
    return {"marker": marker, "markersize": 4, "color": "#d1495b", "linestyle": "none"}


def _models(axes: Axes, results: Results) -> None:
    for name, (size, error) in models(results).items():
        axes.plot([size], [error], **_model_look(name), zorder=4, gid=f"loss_error/{name}")


def _model_handles(results: Results) -> list[Artist]:
    return [
        Line2D([], [], **_model_look(name), label=f"{method}, against {_REPRODUCED[method]}")
        for name in models(results)
        for method in [name.partition("@")[0]]
    ]


def is_published(record: Record, ratio: float) -> bool:
    """Return whether a store has the published compression, up to the rounding of its size."""
    return abs(math.log(float(record["ratio"]) / ratio)) < 0.1


def _finish(axes: Axes, field: str, content: Mapping[str, Any]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    dense = int(content["dense_bytes"])
    low, high = axes.get_xlim()
    ratios = [ratio for ratio in _RATIOS if low <= dense / ratio <= high]
    axes.set_xticks(
        [dense / ratio for ratio in ratios],
        labels=[f"{size_text(dense / ratio)}\n{ratio}×" for ratio in ratios],
    )
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("stored bytes, and compression")
    yardstick = {"parameter_error": 1.0, "loss_error": content["loss_spread"]}.get(field)
    if yardstick:
        axes.axhline(yardstick, color="0.35", linewidth=0.6, linestyle=(0, (4, 2)), zorder=1)


def _handles(families: Mapping[str, Sequence[Record]], published: float) -> list[Artist]:
    handles: list[Artist] = [
        Line2D([], [], **_look(name), label=name)
        for name, records in families.items()
        if any(record["table_error"] for record in records)
    ]
    star: dict[str, Any] = {
        "marker": "*",
        "markersize": 6,
        "color": "gold",
        "markeredgecolor": "0.2",
    }
    handles.append(
        Line2D([], [], **star, linestyle="none", label=f"published: projection, {published:g}×")
    )
    handles.append(
        Line2D([], [], color="0.35", linewidth=0.6, linestyle=(0, (4, 2)),
               label="displacement; spread of these losses")
    )  # fmt: skip
    handles.append(
        Line2D(
            [], [], color="0.4", linewidth=2.5, alpha=0.35, label="the store's own estimate (95 %)"
        )
    )
    return handles

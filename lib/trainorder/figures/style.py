"""The shared style: sizes, markers that differ without colour, and byte-identical files."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from trainorder.data.metrics import AVERAGED, MAIN_METRIC
from trainorder.evaluation.results import SPLIT_WORDS
from trainorder.orders.order import CALIBRATION, HELD_BACK
from trainorder.storage.atomic import publish

WIDTH = 85 / 25.4  # inches; a column of 85 mm, in which every figure is readable without scaling
SMALLEST = 5.0  # points; no text is smaller
LOSS = "held-out loss (nats per token)"
GREY = "0.6"

# Splits differ in marker, fill and colour; each of these alone tells them apart.
_OPEN: dict[str, Any] = {"facecolor": "none", "linewidth": 0.6}
SPLITS: dict[str, dict[str, Any]] = {
    CALIBRATION: {"marker": "o", "s": 3, "facecolor": GREY, "edgecolor": "none"},
    HELD_BACK: {"marker": "o", "s": 8, "facecolor": "#31688e", "edgecolor": "none", "alpha": 0.8},
    "structured": {"marker": "^", "s": 11, "edgecolor": "#b63679", **_OPEN},
    "custom": {"marker": "D", "s": 9, "edgecolor": "#21130d", **_OPEN},
}
SPLIT_COLOURS = {HELD_BACK: "#31688e", "structured": "#b63679", "custom": "#21130d"}
SPLIT_MARKERS = {HELD_BACK: "o", "structured": "^", "custom": "D"}

# Viridis without its palest end. Lightness grows along the list, so greyscale keeps the sequence.
_LINES = ["#440154", "#3b528b", "#21918c", "#5ec962"]
_DASHES: list[Any] = ["-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2))]
_MARKERS = "os^Dv<>PX*hpd8+xH"

STYLE = Path(__file__).with_name("trainorder.mplstyle")


def line(index: int) -> dict[str, Any]:
    """Return colour, dashes and marker of the `index`-th line; 17 markers all differ."""
    return {
        "color": _LINES[index % len(_LINES)],
        "linestyle": _DASHES[(index // len(_LINES) + index) % len(_DASHES)],
        "marker": _MARKERS[index % len(_MARKERS)],
    }


def new_figure(height: float, label: str, width: float = WIDTH) -> Figure:
    """Return an empty figure with the study's label at its foot.

    Args:
        height: in inches.
        label: text, which is broken into lines.
        width: in inches; figures of a study have the width of a column.

    """
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    size = 5 / 6 * float(mpl.rcParams["font.size"])
    # The layout reserves room for a supxlabel, but not for a text.
    figure.supxlabel(
        wrapped(label, int(133 * width / size)), fontsize=size, color="0.35", x=0.01, ha="left"
    )
    return figure


def wrapped(text: str, characters: int) -> str:
    """Return a text with line breaks, which keep its own."""
    return "\n".join(
        line
        for part in text.split("\n")
        for line in textwrap.wrap(part, characters, break_on_hyphens=False) or [""]
    )


def name_text(name: str, longest: int = 18) -> str:
    """Return the name of an estimator; a long one has its expansion path on a second line."""
    return name if len(name) <= longest else name.replace("@", "\n@")


def panels(figure: Figure, n: int, columns: int, **kwargs: Any) -> list[Axes]:
    """Return `n` axes in rows of at most `columns`; the rest of the last row stays empty."""
    columns = min(n, columns)
    rows = rows_of(n, columns)
    grid = figure.subplots(rows, columns, squeeze=False, **kwargs)
    axes: list[Axes] = list(grid.flat)
    for unused in axes[n:]:
        unused.remove()
    return axes[:n]


def rows_of(n: int, columns: int) -> int:
    """Return the number of rows for `n` panels."""
    return -(-n // columns)


def split_handles(splits: Sequence[str]) -> list[Artist]:
    """Return legend entries of the splits."""
    handles: list[Artist] = []
    for split in splits:
        look = SPLITS[split]
        handles.append(
            Line2D(
                [],
                [],
                linestyle="none",
                marker=look["marker"],
                label=f"{SPLIT_WORDS.get(split, split)} orders",
                markersize=look["s"] ** 0.5,
                markerfacecolor=look["facecolor"],
                markeredgecolor=look["edgecolor"],
            )
        )
    return handles


def line_handles(yardstick: str, edge: str) -> list[Artist]:
    """Return legend entries of a dashed yardstick and of the marks at the edge."""
    return [
        Line2D([], [], color="0.35", linewidth=0.6, linestyle=(0, (4, 2)), label=yardstick),
        edge_handle(edge),
    ]


def edge_handle(label: str) -> Artist:
    """Return the legend entry of the marks that `flag_edge` makes."""
    return Line2D([], [], color="0.2", linestyle="none", marker="x", label=label)


def ring_handle(label: str) -> Artist:
    """Return the legend entry of the rings that `ring` draws."""
    return Line2D(
        [], [], linestyle="none", marker="o", markersize=5, markerfacecolor="none",
        markeredgecolor="0.15", markeredgewidth=0.5, label=label,
    )  # fmt: skip


def ring(axes: Axes, x: Sequence[float], y: Sequence[float], gid: str, size: float = 22) -> None:
    """Draw a ring around each point, so that it is visible without colour; `size` in points²."""
    axes.scatter(
        x, y, marker="o", s=size, facecolor="none", edgecolor="0.15", linewidth=0.5, gid=gid,
        zorder=4,
    )  # fmt: skip


def flag_edge(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    """Mark points outside the axes on their edge."""
    if x:
        axes.scatter(x, y, marker="x", s=7, color="0.2", linewidth=0.6, clip_on=False, zorder=4)


def beyond_note(diverged: int, off_scale: int, n: int) -> str:
    """Return how many of `n` points are outside the axes, and why; empty if none is."""
    counts = ((diverged, "diverged"), (off_scale, "off scale"))
    text = ",\n".join(f"{count} {what}" for count, what in counts if count)
    return f"{text} of {n}" if text else ""


def metric_text(metric: str) -> str:
    """Return a metric in words that fit above a narrow panel.

    >>> metric_text("heldout"), metric_text("averaged_heldout/drama")
    ('all domains', 'drama, averaged weights')
    >>> metric_text("choice_accuracy/drama")
    'drama, choice accuracy'
    """
    name, _, domain = metric.partition("/")
    words = {MAIN_METRIC: "", AVERAGED + MAIN_METRIC: "averaged weights"}.get(name, name)
    return ", ".join(filter(None, [domain or "all domains", words.replace("_", " ")]))


def number(value: float) -> str:
    """Return a correlation with two decimals and a minus sign, never as -0.00."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def rank_text(rank: Mapping[str, float | None]) -> str:
    """Return a rank correlation with its interval."""
    if rank["value"] is None:
        return "undefined"
    if rank["low"] is None or rank["high"] is None:
        return number(rank["value"])
    return f"{number(rank['value'])} [{number(rank['low'])}, {number(rank['high'])}]"


def save(figure: Figure, folder: str | Path, name: str) -> list[Path]:
    """Write a figure as `name`.pdf and `name`.png; the same figure gives the same bytes."""
    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "Title": name},
        "png": {"Title": name},
    }
    paths = []
    for kind, entries in metadata.items():
        path = Path(folder) / f"{name}.{kind}"
        drawn = io.BytesIO()  # matplotlib's own writer may fail in other ways on a full disk
        figure.savefig(drawn, format=kind, metadata=entries)
        with publish(path) as private:
            private.write_bytes(drawn.getvalue())
        figure.set_layout_engine("none")  # keeps the places of the first layout
        paths.append(path)
    return paths

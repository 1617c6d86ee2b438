"""Forest plot of the order-LDS of each estimator, one panel for each metric."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainorder.evaluation.results import Results
from trainorder.figures import style

_COLUMNS = 3


def draw(results: Results) -> Figure:
    """Draw the rank correlation with its interval for random, structured and custom orders."""
    metrics, names = results.shown_metrics, results.estimators
    rows = style.rows_of(len(metrics), _COLUMNS)
    figure = style.new_figure(rows * (0.165 * len(names) + 0.4) + 0.45, results.label())
    splits = [
        split
        for split in style.SPLIT_MARKERS
        if any(results.score(name)["orders"].get(split) for name in names)
    ]
    axes = style.panels(figure, len(metrics), _COLUMNS, sharex=True, sharey=True)
    for panel, metric in zip(axes, metrics, strict=True):
        _panel(panel, results, metric, splits)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    axes[0].set_xlim(-1.04, 1.04)
    for panel in axes[-_COLUMNS:]:
        panel.tick_params(labelbottom=True)
        panel.set_xlabel("order-LDS")
    confidence = results.validation["provenance"]["config"]["validation"]["confidence"]
    figure.legend(
        handles=style.split_handles(splits), loc="outside upper center", ncols=len(splits),
        title=f"bars: {confidence:.0%} bootstrap interval over orders",
    )  # fmt: skip
    return figure


def _panel(axes: Axes, results: Results, metric: str, splits: list[str]) -> None:
    names = results.estimators
    for number, split in enumerate(splits):
        shift = (number - (len(splits) - 1) / 2) * 0.3
        for row, name in enumerate(names):
            _bar(axes, results.score(name)["order_lds"][metric].get(split), split, row + shift)
    for row, name in enumerate(names):
        ranks = [results.score(name)["order_lds"][metric].get(split) for split in splits]
        if all(rank is None or rank["value"] is None for rank in ranks):
            axes.text(
                0.0, row, "undefined", fontsize=style.SMALLEST, color="0.4", ha="center",
                va="center", bbox={"facecolor": _stripe(row), "linewidth": 0, "pad": 0.5},
            )  # fmt: skip
    for row in range(0, len(names), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=_stripe(row), linewidth=0, zorder=0)
    for position in (0.0, 1.0):
        axes.axvline(position, color="0.6", linewidth=0.5, zorder=1)
    axes.set_yticks(
        range(len(names)),
        labels=[f"{name}\n{results.warning(name)}".strip() for name in names],
        fontsize=style.SMALLEST,
    )
    axes.tick_params(axis="y", length=0)
    axes.set_title(style.metric_text(metric), loc="left")


def _stripe(row: int) -> str:
    """Return the background of a row."""
    return "1.0" if row % 2 else "0.96"


def _bar(axes: Axes, rank: dict[str, float | None] | None, split: str, height: float) -> None:
    if rank is None or rank["value"] is None:
        return
    look = style.SPLITS[split]
    edge = style.SPLIT_COLOURS[split]
    if rank["low"] is not None and rank["high"] is not None:
        axes.plot(
            [rank["low"], rank["high"]], [height, height], color=edge, linewidth=0.8, zorder=2
        )
    face = "white" if look["facecolor"] == "none" else edge
    axes.plot(
        [rank["value"]], [height], marker=look["marker"], color=edge, markerfacecolor=face,
        markersize=2.5, zorder=3, clip_on=False,
    )  # fmt: skip

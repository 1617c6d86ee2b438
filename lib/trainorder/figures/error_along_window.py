"""Growth of the parameter error of each estimator along the window."""

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainorder.evaluation.results import Results
from trainorder.figures import style

_CEILING = 10.0  # an error above this many displacements is drawn at the edge
_FLOOR = 1e-4


def draw(results: Results) -> Figure:
    """Draw the median error over the followed orders against the step, one panel per split."""
    splits = [split for split in style.SPLIT_MARKERS if _followed(results, split)]
    figure = style.new_figure(3.5, results.label())
    if not splits:
        figure.text(0.5, 0.5, "no order was followed along the window", ha="center")
        return figure
    axes = style.panels(figure, len(splits), len(splits), sharey=True)
    for panel, split in zip(axes, splits, strict=True):
        _panel(panel, results, split)
    axes[0].set_ylabel("parameter error (displacements)")
    # By label, because not every estimator ran on the orders of every panel.
    entries: dict[str, Artist] = {}
    for panel in axes:
        handles, labels = panel.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside upper center",
        ncols=2,
        fontsize=style.SMALLEST,
    )
    return figure


def _followed(results: Results, split: str) -> set[str]:
    """Return the orders of a split whose errors are known before the end of the window."""
    return {
        order
        for along in results.trajectories.values()
        for order, errors in along.items()
        if len(errors) > 1 and results.split(order) == split
    }


def median_error(results: Results, estimator: str, split: str) -> tuple[list[int], list[float]]:
    """Return steps and the median error over an estimator's followed orders of a split."""
    tracks: list[Mapping[int, float]] = [
        errors
        for order, errors in results.trajectories.get(estimator, {}).items()
        if len(errors) > 1 and results.split(order) == split
    ]
    steps = sorted(set.intersection(*(set(track) for track in tracks))) if tracks else []
    return steps, [float(np.median([track[step] for track in tracks])) for step in steps]


def _panel(axes: Axes, results: Results, split: str) -> None:
    axes.set_yscale("log")
    ends, visible = [], []
    for index, estimator in enumerate(results.estimators):
        steps, errors = median_error(results, estimator, split)
        if not steps:  # no estimates of parameters, or of these orders
            continue
        # At step 0 the error is zero, which a logarithmic axis cannot show.
        kept = [(s, e) for s, e in zip(steps, errors, strict=True) if 0 < e <= _CEILING]
        visible += [e for _, e in kept]
        spacing = max(1, len(steps) // 8)
        axes.plot(
            [s for s, _ in kept], [e for _, e in kept], label=results.caption(estimator),
            markevery=(index % spacing, spacing), gid=f"{estimator}/{split}", **style.line(index),
        )  # fmt: skip
        beyond = [s for s, e in zip(steps, errors, strict=True) if not e <= _CEILING]
        if beyond:
            ends.append((beyond[0], index))
    for step, index in ends:
        look = style.line(index)
        axes.plot(
            [step], [_CEILING], marker=look["marker"], color=look["color"], clip_on=False,
            markersize=4, markeredgecolor="0.1",
        )  # fmt: skip
    if ends:
        axes.annotate(
            "off scale", (min(ends)[0], _CEILING), xytext=(3, 3),
            textcoords="offset points", fontsize=style.SMALLEST, color="0.3",
        )  # fmt: skip
    axes.axhline(1.0, color="0.7", linewidth=0.5, zorder=0)
    axes.set_ylim(max(_FLOOR, min(visible, default=_FLOOR)) / 1.5, _CEILING)
    axes.set_xlim(0, results.steps * 1.02)
    axes.set_xlabel("step of the window")
    axes.set_title(f"{split} orders ({len(_followed(results, split))})", loc="left", pad=9)

"""Forgetting curves: advantage of having seen a unit, by the steps since."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainorder.evaluation.results import Results
from trainorder.figures import style
from trainorder.memorization.forgetting import advantage

_COLUMNS = 3
_READ = (
    "line and band: estimated mean over units with its interval; crosses: single retrained units; "
    "open circles: estimates of the same units\n"
    "a unit that was seen longer ago was learned at the learning rate of that step"
)


def draw(results: Results) -> Figure:
    """Draw the estimated curve with its interval over units, the half-life, and retrained cells."""
    if results.maps is None or results.memorization is None:
        raise ValueError("the study has no maps of positions")
    content = results.memorization
    curves, domains = content["forgetting"], np.array(content["unit_domains"])
    lines = style.rows_of(len(curves), _COLUMNS)
    label = f"{_READ}; estimates of {content['estimator']} ({content['verdict']})"
    figure = style.new_figure(1.05 * lines + 0.55, results.label(label))
    axes = style.panels(figure, len(curves), _COLUMNS, sharex=True, sharey=True)
    estimated, true = (
        advantage(results.maps[f"{source}_own_presence"]) for source in ("estimated", "true")
    )
    for panel, (name, curve) in zip(axes, curves.items(), strict=True):
        age = np.arange(len(curve["advantage"]))
        panel.fill_between(
            age, curve["low"], curve["high"], color="#31688e", alpha=0.2, linewidth=0
        )
        panel.plot(age, curve["advantage"], color="#31688e", gid=f"estimated {name}")
        rows = slice(None) if name == "all" else domains == name
        _cells(panel, estimated[rows], true[rows], name)
        _half(panel, curve["half_life"])
        panel.axhline(0, color="0.4", linewidth=0.4)
        panel.set_title(
            f"{name} ({curve['units']} units){_life(curve['half_life'])}",
            loc="left",
            fontsize=style.SMALLEST,
        )
    for panel in axes[-_COLUMNS:]:
        panel.tick_params(labelbottom=True)
        panel.set_xlabel("steps since seen")
    for panel in axes[::_COLUMNS]:
        panel.set_ylabel("advantage\n(nats per token)")
    return figure


def _cells(axes: Axes, estimated: np.ndarray, true: np.ndarray, name: str) -> None:
    """Draw the retrained units, each joined with its own estimate: the line is a mean of all."""
    where = np.isfinite(true)
    ages, ends = np.nonzero(where)[1], (estimated[where], true[where])
    axes.vlines(ages, *ends, color="#b63679", linewidth=0.4, zorder=2)
    axes.scatter(
        ages, ends[0], s=6, marker="o", facecolor="white", edgecolor="#b63679", linewidth=0.5,
        gid=f"estimated cells {name}", zorder=3,
    )  # fmt: skip
    axes.scatter(
        ages, ends[1], s=6, marker="x", color="#b63679", linewidth=0.6, gid=f"true {name}",
        zorder=4,
    )  # fmt: skip


def _half(axes: Axes, life: dict[str, float | None]) -> None:
    if life["value"] is not None:
        axes.axvline(life["value"], color="0.4", linewidth=0.5, linestyle=(0, (5, 2)))


def _life(life: dict[str, float | None]) -> str:
    if life["value"] is None:
        return "\nno half-life in the window"
    ends = "" if life["low"] is None else f" [{life['low']:.1f}, {life['high']:.1f}]"
    return f"\nhalf-life {life['value']:.1f}{ends} steps"

"""What a poisoned unit does, by the step at which it is placed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainorder.config.unit_labels import POISONED
from trainorder.evaluation.results import Results
from trainorder.figures import style

PANELS = {"heldout": ("same", "held-out loss, all domains"), "own": ("own", "loss on the unit")}
_READ = "the change beyond that of another unit in the same place; grey: the mean clean unit"


def draw(results: Results) -> Figure:
    """Draw the estimated effect at every step, and the retrained one first, in the middle, last."""
    content, cells = results.memorization, results.poisoned
    if results.maps is None or content is None or cells is None:
        raise ValueError("the study has no maps of a poisoned unit")
    label = f"{_READ}\nestimates of {content['estimator']} ({content['verdict']})"
    figure = style.new_figure(1.75, results.label(label))
    is_poisoned = np.array(content["unit_domains"]) == POISONED
    axes = style.panels(figure, len(PANELS), len(PANELS))
    for panel, (name, (quantity, title)) in zip(axes, PANELS.items(), strict=True):
        values = results.maps[f"estimated_{quantity}_presence"]
        _lines(panel, name, values, is_poisoned)
        _crosses(panel, name, cells)
        panel.axhline(0, color="0.4", linewidth=0.4)
        panel.set_title(title, loc="left")
        panel.set_xlabel("step of the poisoned unit")
        panel.set_ylabel("change (nats per token)")
    return figure


def _lines(axes: Axes, name: str, values: np.ndarray, is_poisoned: np.ndarray) -> None:
    """Draw the rows of poisoned units of a map (U, T), and the mean of the others."""
    steps = np.arange(values.shape[1])
    for unit in np.flatnonzero(is_poisoned):
        axes.plot(steps, values[unit], color="#31688e", gid=f"estimated {name} {unit}")
    axes.plot(
        steps,
        values[~is_poisoned].mean(axis=0),
        color="0.6",
        linestyle=(0, (4, 2)),
        gid=f"clean {name}",
    )


def _crosses(axes: Axes, name: str, cells: Sequence[Mapping[str, Any]]) -> None:
    for cell in cells:
        axes.scatter(
            [cell["step"]], [cell[name]["true"]], s=8, marker="x", color="#b63679", zorder=3,
            gid=f"true {name} {cell['unit']} {cell['step']}",
        )  # fmt: skip

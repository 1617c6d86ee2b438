"""Maps of the effect of a unit's position: estimated, true, and their difference.

All panels of a quantity have one colour scale.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure, SubFigure

from trainorder.evaluation.results import Results
from trainorder.figures import style
from trainorder.memorization.maps import MAPS, QUANTITIES

_QUANTITIES = {
    "own": "Loss on the unit itself",
    "same": "Held-out loss of its domain",
    "other": "Held-out loss of other domains",
}
_SEEN = 0.995  # share of the cells inside the colour scale
_COLOURS = "PuOr_r"
_MAP = 0.87  # inches, height of a map


def draw(results: Results) -> Figure:
    """Draw a row for each quantity and map: estimated, true where retrained, and the difference."""
    if results.maps is None or results.memorization is None:
        raise ValueError("the study has no maps of positions")
    content, maps = results.memorization, results.maps
    height = _MAP * len(MAPS) * len(QUANTITIES) + 1.0
    figure = style.new_figure(height, results.label(_label(content, maps)))
    rows = np.argsort(content["unit_domains"], kind="stable")
    domains = [content["unit_domains"][row] for row in rows]
    parts = figure.subfigures(len(QUANTITIES), 1, squeeze=False)
    for part, quantity in zip(parts[:, 0], QUANTITIES, strict=True):
        norm = _norm(maps, quantity)
        part.suptitle(_QUANTITIES[quantity], fontsize=6, fontweight="bold", x=0.02, ha="left")
        grid = part.subplots(len(MAPS), 3, sharex=True, sharey=True)
        for line, name in zip(grid, MAPS, strict=True):
            pair = [maps[f"{source}_{quantity}_{name}"][rows] for source in ("estimated", "true")]
            _row(line, *pair, norm=norm, what=f"{quantity} {name}")
            titles = (
                f"{name}\nestimated",
                _agreement(content["agreement"][quantity][name]),
                "estimated − true",
            )
            for panel, title in zip(line, titles, strict=True):
                panel.set_title(title, fontsize=style.SMALLEST)
                _separate(panel, domains)
        for panel in grid[-1]:
            panel.set_xlabel("step")
        _name_domains(grid, domains)
        _colour_bar(part, norm, list(grid.flat))
    return figure


def _row(
    line: Sequence[Axes], estimated: np.ndarray, true: np.ndarray, *, norm: TwoSlopeNorm, what: str
) -> None:
    """Draw the estimated cells as an image, the retrained ones and the differences as squares."""
    line[0].imshow(
        estimated, norm=norm, cmap=_COLOURS, aspect="auto", interpolation="nearest", origin="upper",
        gid=f"estimated {what}",
    )  # fmt: skip
    units, steps = np.nonzero(np.isfinite(true))
    shown = {"true": true, "difference": estimated - true}
    for panel, (name, values) in zip(line[1:], shown.items(), strict=True):
        panel.scatter(
            steps, units, c=values[units, steps], norm=norm, cmap=_COLOURS, marker="s", s=11,
            edgecolor="0.15", linewidth=0.3, gid=f"{name} {what}",
        )  # fmt: skip
    for panel in line:
        panel.set_facecolor("0.88")


def _colour_bar(figure: SubFigure, norm: TwoSlopeNorm, panels: Sequence[Axes]) -> None:
    bar = figure.colorbar(
        ScalarMappable(norm, _COLOURS), ax=panels, label="nats per token", fraction=0.04, pad=0.01,
        aspect=30,
    )  # fmt: skip
    bar.ax.tick_params(labelsize=5)


def _label(content: Mapping[str, Any], maps: Mapping[str, np.ndarray]) -> str:
    return (
        f"estimates of {content['estimator']} ({content['verdict']}); "
        f"retrained cells of each map: {_retrained(maps)}\n"
        "swap, insertion: minus the loss of the reference order; presence: minus that of the same "
        "order with another unit of the domain in the unit's place"
    )


def _retrained(maps: Mapping[str, np.ndarray]) -> str:
    """Return the number of retrained cells of each map, by quantity if they differ."""
    counts = {
        quantity: sorted({int(np.isfinite(maps[f"true_{quantity}_{name}"]).sum()) for name in MAPS})
        for quantity in QUANTITIES
    }
    shown = {quantity: " to ".join(map(str, {n[0]: 0, n[-1]: 0})) for quantity, n in counts.items()}
    if len(set(shown.values())) == 1:
        return next(iter(shown.values()))
    return ", ".join(
        f"{number} ({_QUANTITIES[quantity].lower()})" for quantity, number in shown.items()
    )


def _norm(maps: Mapping[str, np.ndarray], quantity: str) -> TwoSlopeNorm:
    """Return the colour scale of one quantity, the same for all of its maps."""
    arrays = [
        maps[f"{source}_{quantity}_{name}"] for source in ("estimated", "true") for name in MAPS
    ]
    values = np.abs(np.concatenate([array.reshape(-1) for array in arrays]))
    values = values[np.isfinite(values)]
    most = float(np.quantile(values, _SEEN)) if len(values) else 0.0
    return TwoSlopeNorm(0.0, -(most or 1.0), most or 1.0)


def _agreement(score: Mapping[str, float | None]) -> str:
    if score["value"] is None:
        return "true"
    return f"true\nρ {style.rank_text(score)}"


def _separate(axes: Axes, domains: list[str]) -> None:
    for row in range(1, len(domains)):
        if domains[row] != domains[row - 1]:
            axes.axhline(row - 0.5, color="0.3", linewidth=0.3)


def _name_domains(grid: np.ndarray, domains: list[str]) -> None:
    """Name the domains beside the first column of panels."""
    names = list(dict.fromkeys(domains))
    middle = [np.mean([i for i, domain in enumerate(domains) if domain == name]) for name in names]
    grid[0, 0].set_yticks(middle, labels=names, fontsize=style.SMALLEST)
    for panel in grid.flat:
        panel.tick_params(length=0)

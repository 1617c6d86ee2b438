"""Maps of the effect of a unit's position, estimated and true, with one colour scale."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from trainorder.evaluation.results import Results
from trainorder.figures import style
from trainorder.memorization.maps import MAPS, QUANTITIES

_QUANTITIES = {
    "own": "loss on the unit",
    "same": "held-out, its domain",
    "other": "held-out, other domains",
}
_SEEN = 0.995  # share of the cells inside the colour scale


def draw(results: Results) -> Figure:
    """Draw one row for each quantity, with pairs of estimated and true maps."""
    if results.maps is None or results.memorization is None:
        raise ValueError("the study has no maps of positions")
    content, maps = results.memorization, results.maps
    figure = style.new_figure(7.9, results.label(_label(content)))
    axes = figure.subplots(len(QUANTITIES), 2 * len(MAPS), sharex=True, sharey=True)
    rows = np.argsort(content["unit_domains"], kind="stable")
    domains = [content["unit_domains"][row] for row in rows]
    for line, quantity in zip(axes, QUANTITIES, strict=True):
        norm = _norm(maps, quantity)
        for place, name in enumerate(MAPS):
            pair = line[2 * place : 2 * place + 2]
            for panel, source in zip(pair, ("estimated", "true"), strict=True):
                panel.set_facecolor("0.88")
                image = panel.imshow(
                    maps[f"{source}_{quantity}_{name}"][rows], norm=norm, cmap="PuOr_r",
                    aspect="auto", interpolation="nearest", origin="upper",
                    gid=f"{source} {quantity} {name}",
                )  # fmt: skip
                _separate(panel, domains)
            pair[0].set_title(f"{name},\nestimated", fontsize=8)
            pair[1].set_title(_agreement(content["agreement"][quantity][name]), fontsize=8)
        line[0].set_ylabel(f"{_QUANTITIES[quantity]}\nunit, by domain")
        figure.colorbar(image, ax=list(line), label="nats per token", fraction=0.03, pad=0.01)
    for panel in axes[-1]:
        panel.set_xlabel("step")
    _name_domains(axes[0, 0], domains)
    return figure


def _label(content: Mapping[str, object]) -> str:
    return (
        f"estimates of {content['estimator']} ({content['verdict']}); "
        f"{content['retrained']} cells of each map retrained, the others grey\n"
        "swap, insertion: minus the loss of the reference order; presence: minus that of the same "
        "order with another unit of the domain in the unit's place"
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
    low, high = score["low"], score["high"]
    ends = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return f"true, n {score['n']},\nρ {score['value']:.2f}{ends}"


def _separate(axes: Axes, domains: list[str]) -> None:
    for row in range(1, len(domains)):
        if domains[row] != domains[row - 1]:
            axes.axhline(row - 0.5, color="0.3", linewidth=0.5)


def _name_domains(axes: Axes, domains: list[str]) -> None:
    names = list(dict.fromkeys(domains))
    middle = [np.mean([i for i, domain in enumerate(domains) if domain == name]) for name in names]
    axes.set_yticks(middle, labels=names, fontsize=7)
    axes.tick_params(length=0)

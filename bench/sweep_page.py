"""The page and the figure of the learning-rate sweep."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from bench.config_hash import config_text
from bench.studies import environment_text
from trainorder.figures import style


def markdown(record: Mapping[str, Any]) -> str:
    """Return the page of the sweep."""
    parts = [
        "# The learning rate",
        "Final held-out loss (nats per token, mean over domains) of the reference order, trained "
        "at each rate from its warm-up on. Made by `make sweep`; [sweep.json](sweep.json) "
        "contains the numbers and the whole configurations.",
        "![Final held-out loss by learning rate](../figures/sweep.png)",
        *(_section(name, entry) for name, entry in record["studies"].items()),
    ]
    return "\n\n".join(parts) + "\n"


def _section(name: str, entry: Mapping[str, Any]) -> str:
    model = entry["config"]["model"]
    seeds = ", ".join(f"{key} {seed}" for key, seed in entry["seeds"].items())
    text = (
        f"## `{name}`\n\n`{entry['preset']}`: hidden size {model['hidden_size']}, "
        f"{model['layers']} layers; seeds {seeds}. Best rate **{entry['best']:.1e}**, configured "
        f"{entry['configured']:.1e}, ratio {entry['ratio']:.2g}. "
        f"{environment_text(entry['made'])}; "
        f"{config_text(entry['config'])}.\n\n"
        "| learning rate | final held-out loss | |\n|---|---|---|\n"
    )
    rows = []
    for point in entry["losses"]:
        rate = point["learning_rate"]
        marks = [("best", entry["best"]), ("configured", entry["configured"])]
        note = ", ".join(mark for mark, at in marks if at == rate)
        loss = "diverged" if point.get("diverged") else f"{point['heldout']:.4f}"
        rows.append(f"| {rate:.1e} | {loss} | {note} |")
    return text + "\n".join(rows)


def draw(record: Mapping[str, Any]) -> Figure:
    """Draw the loss against the rate, a line for each study."""
    studies = record["studies"]
    labels = dict.fromkeys(environment_text(entry["made"]) for entry in studies.values())
    figure = style.new_figure(3.2, "; ".join(labels), width=6.5)
    axes = figure.subplots()
    for index, (name, entry) in enumerate(studies.items()):
        points = [p for p in entry["losses"] if not p.get("diverged")]
        rates, losses = ([p[key] for p in points] for key in ("learning_rate", "heldout"))
        look = style.line(index)
        axes.plot(rates, losses, label=name, **look)
        at = [p for p in points if p["learning_rate"] == entry["configured"]]
        axes.plot(
            [p["learning_rate"] for p in at], [p["heldout"] for p in at], linestyle="none",
            marker="o", markersize=11, markerfacecolor="none", markeredgecolor=look["color"],
            label=f"{name}: configured",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel(f"final {style.LOSS}")
    axes.legend()
    return figure

"""The page and the figure of a grid of studies."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.config_hash import config_text
from bench.page import interval, missing, number, table
from bench.studies import environment_text
from trainorder.figures import style

Record = Mapping[str, Any]


class GridText(NamedTuple):
    """What the page of a grid says.

    Attributes:
        title: of the page.
        text: its first paragraph.
        differ_in_growth: whether the cells differ in growth, so that a figure shows it.

    """

    title: str
    text: str
    differ_in_growth: bool


TEXTS = {
    "regime": GridText(
        "Where estimates hold",
        "Small variants of the default study: learning rate, schedule, window, units per step and "
        "warm-up change one at a time, and together in the hardest cases. The first column names "
        "the differences from the plain study. Made by `make regime`. Verdicts use the calibration "
        "orders, correlations and relative errors the random orders (n), of which there are more "
        "from scratch and at a constant rate.",
        True,
    ),
    "ablation": GridText(
        "Expansion path and anchors",
        "`nystrom` on the reference path and on the barycentre path, with K anchors of the "
        "gradient table, for three windows. Made by `make ablate`, with an earlier version: since "
        "then low-rank curvature costs less, and its rank is selected. The window of 256 steps is "
        "`presets/steps256.yaml`.",
        False,
    ),
}
AGAINST_GROWTH = (
    "![Order-LDS and relative error against growth](../figures/growth.svg)\n\n"
    "*Each point is an estimator of one study, with the interval of its order-LDS and of the "
    "study's growth. Dotted lines: the limits of growth. Dashed line: the error of \"the order "
    'has no effect".*'
)
UNRANKED = "constant"  # not drawn: its estimate is the same for all orders


def markdown(record: Record) -> str:
    """Return the page of a grid."""
    grid, cells = record["grid"], record["cells"]
    finished = [cell for cell in cells if "estimators" in cell]
    parts = [
        f"# {TEXTS[grid].title}",
        f"{TEXTS[grid].text} [{grid}.json]({grid}.json) contains the numbers and the whole "
        "configurations.",
        f"![Order-LDS by study](../figures/{grid}.png)",
        *([AGAINST_GROWTH] if has_growth(record) else []),
        _accuracy(cells),
        *missing(record),
        *_notes(finished, cells),
        _errors_and_costs(cells),
        measured_on(cells),
    ]
    return "\n\n".join(parts) + "\n"


def has_growth(record: Record) -> bool:
    """Return whether the page of a grid shows its estimators against growth."""
    differ = TEXTS[record["grid"]].differ_in_growth
    return differ and any("growth" in cell for cell in record["cells"])


def measured_on(cells: Sequence[Record]) -> str:
    """Return the line with the machines, the versions and the configuration of a page's cells."""
    environments = dict.fromkeys(environment_text(cell["made"]) for cell in cells)
    return (
        f"Measured on: {' / '.join(environments)}; "
        f"{config_text(*(cell['config'] for cell in cells))}."
    )


def _accuracy(cells: Sequence[Record]) -> str:
    """Return the table of the accuracy of each estimator in each cell."""
    head = ["training", "growth [95 %]", "std of the truth", "estimator"]
    rows = []
    for cell in cells:
        growth = interval(cell["growth"]) if "growth" in cell else "–"
        if "estimators" not in cell:
            rows.append([cell["label"], growth, *["–"] * 5, "training diverged"])
            continue
        for name, entry in cell["estimators"].items():
            rank = entry["order_lds"]
            rows.append(
                [
                    cell["label"],
                    growth,
                    number(cell["spread"]),
                    f"`{name}`",
                    interval(rank),
                    str(rank["n"]),
                    number(entry["relative_error"]),
                    entry["verdict"],
                ]
            )
    return table([*head, "order-LDS of `heldout` [95 %]", "n", "relative error", "verdict"], rows)


def _errors_and_costs(cells: Sequence[Record]) -> str:
    """Return the table of the parameter error and the costs of each estimator in each cell."""
    head = ["training", "estimator", "parameter error [95 %]", "precompute", "per order"]
    rows = []
    for cell in cells:
        for name, entry in cell.get("estimators", {}).items():
            error = entry["parameter_error"]
            mean = {"value": error["mean"], "low": error["low"], "high": error["high"]}
            rows.append(
                [
                    cell["label"],
                    f"`{name}`",
                    interval(mean) if error["n"] else "–",
                    number(entry["precompute_retrainings"]),
                    number(entry["per_order_retrainings"]),
                ]
            )
    return table(head, rows)


def _notes(finished: Sequence[Record], cells: Sequence[Record]) -> list[str]:
    seeds = cells[0]["config"]["seeds"]
    text = f"Seeds: {', '.join(f'{name} {seed}' for name, seed in seeds.items())}."
    sizes = sorted({cell["parameters"] for cell in finished})
    if sizes:
        text += f" Parameters: {', '.join(f'{size:,}' for size in sizes)}."
    return [
        f"{text} Costs are in retrainings. The std is over random orders, in nats per token. "
        "`growth` is the factor by which a small change of the parameters grows over the window "
        "([predictability](../predictability.md))."
    ]


def draw(record: Record) -> Figure:
    """Draw a table of cells and estimators; colour and text are the order-LDS."""
    cells = record["cells"]
    names = list(
        dict.fromkeys(
            name
            for cell in cells
            for name in cell.get("estimators", {})
            if not name.startswith(UNRANKED)
        )
    )
    labels = dict.fromkeys(environment_text(cell["made"]) for cell in cells)
    figure = style.new_figure(0.42 * len(cells) + 1.3, "; ".join(labels), width=8.0)
    axes = figure.subplots()
    grid = [[_rank(cell, name) for name in names] for cell in cells]
    values = [[float("nan") if v is None else v for v in row] for row in grid]
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    figure.colorbar(image, ax=axes, label="order-LDS of held-out loss, random orders")
    for row, cell in enumerate(cells):
        for column, name in enumerate(names):
            _write(axes, row, column, cell, name)
    axes.set_xticks(range(len(names)), labels=[name.replace("@", "\n@") for name in names])
    axes.set_yticks(range(len(cells)), labels=[_row_label(cell) for cell in cells])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _row_label(cell: Record) -> str:
    spread = f"std {cell['spread']:.2g}" if cell.get("spread") is not None else "diverged"
    return f"{cell['label']} ({spread})"


def _rank(cell: Record, name: str) -> float | None:
    entry = cell.get("estimators", {}).get(name)
    return None if entry is None else entry["order_lds"]["value"]


def _write(axes: Axes, row: int, column: int, cell: Record, name: str) -> None:
    entry = cell.get("estimators", {}).get(name)
    if entry is None:
        return
    value = entry["order_lds"]["value"]
    text = f"{style.rank_text(entry['order_lds'])}\n{entry['verdict']}"
    colour = "black" if value is None or value > 0.6 else "white"
    axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)

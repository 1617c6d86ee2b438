"""Table of cost and accuracy of each estimator."""

from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from trainorder.evaluation.results import Results
from trainorder.figures import style

METRIC = "heldout"
# heading, share of the width
COLUMNS = (
    ("estimator", 0.17),
    ("precompute\n(retrainings)", 0.11),
    ("per order\n(retrainings)", 0.11),
    ("per order\n(seconds)", 0.08),
    ("store\nread", 0.07),
    ("order-LDS\nrandom orders", 0.155),
    ("n", 0.03),
    ("mean |error|\n(nats/token)", 0.095),
    ("relative\nerror", 0.07),
    ("parameter\nerror", 0.085),
    ("diverged\norders", 0.08),
    ("verdict", 0.105),
)


def draw(results: Results) -> Figure:
    """Draw the table; accuracy is over held-back random orders."""
    cells = table(results)
    unit = results.costs["retraining_seconds"]
    figure = style.new_figure(
        0.3 * len(cells) + 1.15, results.label(f"a retraining took {unit:.3g} s")
    )
    axes = figure.subplots()
    axes.set_axis_off()
    drawn_table = axes.table(
        cellText=cells, colLabels=[heading for heading, _ in COLUMNS],
        colWidths=[width for _, width in COLUMNS], cellLoc="right", bbox=Bbox.unit(),
        edges="horizontal",
    )  # fmt: skip
    drawn_table.auto_set_font_size(False)
    drawn_table.set_fontsize(8.5)
    for (row, column), cell in drawn_table.get_celld().items():
        cell.set_linewidth(0.9 if row == 0 else 0.3)
        if row == 0:
            cell.set_height(1.8 * cell.get_height())
            cell.get_text().set_fontweight("bold")
            cell.get_text().set_fontsize(8)
        if column == 0:
            cell.get_text().set_horizontalalignment("left")
    return figure


def table(results: Results) -> list[list[str]]:
    """Return the cells of the table, one row for each estimator."""
    rows = []
    for name in results.estimators:
        score = results.score(name)
        cost, rank = score["cost"], score["order_lds"][METRIC]["random"]
        rows.append(
            [
                name,
                _number(cost["precompute_retrainings"]),
                _number(cost["per_order_retrainings"]),
                _number(cost["seconds_per_order"]),
                _bytes(cost["bytes"]),
                style.rank_text(rank),
                str(rank["n"]),
                _number(score["mae"][METRIC]["random"]),
                _number(score["relative_error"][METRIC]["random"]),
                _number(score["parameter_error"]["random"]["mean"]),
                f"{score['diverged']['count']} of {sum(score['orders'].values())}",
                score["verdict"],
            ]
        )
    return rows


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value != 0 and not 1e-4 <= abs(value) < 1e5:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _bytes(n: int) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= scale:
            return f"{n / scale:.3g} {unit}"
    return f"{n} B"

"""Table of cost and accuracy of each estimator."""

from matplotlib.figure import Figure
from matplotlib.table import Cell
from matplotlib.transforms import Bbox

from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.estimate_cost import estimate_cost, retrainings_text
from trainorder.evaluation.results import Results
from trainorder.evaluation.verdict import NOT_CALIBRATED, NOT_TRUSTED, RANK_ONLY, TRUSTED
from trainorder.figures import style
from trainorder.orders.order import HELD_BACK

VERDICTS = (TRUSTED, RANK_ONLY, NOT_CALIBRATED, NOT_TRUSTED)  # groups of rows, in this sequence
# heading, share of the width
COLUMNS = (
    ("estimator", 0.255),
    ("before\nthe first", 0.085),
    ("per order\n(seconds)", 0.155),
    ("store", 0.1),
    ("order-LDS", 0.215),
    ("n", 0.045),
    ("relative\nerror", 0.09),
)
_ROW = 0.105  # inches


def draw(results: Results) -> Figure:
    """Draw the table, in groups by verdict; accuracy is over held-back random orders."""
    groups = table(results)
    cells = [row for verdict, rows in groups.items() for row in [_heading(verdict), *rows]]
    unit = results.costs["retraining_seconds"]
    note = f"costs in retrainings; one took {unit:.3g} s{_diverged(results)}"
    figure = style.new_figure(_ROW * (len(cells) + 6.5), results.label(note))
    axes = figure.subplots()
    axes.set_axis_off()
    drawn_table = axes.table(
        cellText=cells, colLabels=[heading for heading, _ in COLUMNS],
        colWidths=[width for _, width in COLUMNS], cellLoc="right", bbox=Bbox.unit(),
        edges="horizontal",
    )  # fmt: skip
    drawn_table.auto_set_font_size(False)
    drawn_table.set_fontsize(5)
    for (row, column), cell in drawn_table.get_celld().items():
        _finish(cell, is_head=row == 0, is_first=column == 0)
        cell.PAD = 0.02
        if row > 0 and cells[row - 1][0] in VERDICTS:
            cell.get_text().set_fontweight("bold")
    return figure


def _diverged(results: Results) -> str:
    """Return how many estimates of each estimator diverged, if any did."""
    counts = [
        f"{name} {score['diverged']['count']} of {sum(score['orders'].values())}"
        for name in results.estimators
        if (score := results.score(name))["diverged"]["count"]
    ]
    return f"\ndiverged orders: {', '.join(counts)}" if counts else ""


def _heading(verdict: str) -> list[str]:
    return [verdict, *[""] * (len(COLUMNS) - 1)]


def _finish(cell: Cell, *, is_head: bool, is_first: bool) -> None:
    cell.set_linewidth(0.6 if is_head else 0.2)
    if is_head:
        cell.set_height(1.8 * cell.get_height())
        cell.get_text().set_fontweight("bold")
    if is_first:
        cell.get_text().set_horizontalalignment("left")


def table(results: Results) -> dict[str, list[list[str]]]:
    """Return the cells of the table by verdict, one row for each estimator."""
    return {
        verdict: [_row(results, name) for name in names]
        for verdict in VERDICTS
        if (names := [n for n in results.estimators if results.score(n)["verdict"] == verdict])
    }


def _row(results: Results, name: str) -> list[str]:
    score = results.score(name)
    cost, rank = score["cost"], score["order_lds"][MAIN_METRIC][HELD_BACK]
    paid = estimate_cost(results.validation, name)
    before, order = ("–", "–") if paid is None else map(retrainings_text, (paid.before, paid.each))
    each = f"{order} ({_number(cost['seconds_per_order'])})"
    return [
        name,
        before,
        each,
        _bytes(cost["bytes"]),
        style.rank_text(rank),
        str(rank["n"]),
        _error(score["relative_error"][MAIN_METRIC][HELD_BACK]),
    ]


def _error(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 99.995 else f"{value:.2f}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value != 0 and not 1e-4 <= abs(value) < 1e5:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2g}"


def _bytes(n: int) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n >= scale:
            return f"{n / scale:.3g} {unit}"
    return f"{n} B"

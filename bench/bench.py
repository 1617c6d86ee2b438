"""The benchmark: the table of all rows, their page and its figures.

python -m bench.bench                  # docs/measured/transfer.{json,md}, and the figures
python -m bench.bench --only steps64   # a single row
python -m bench.bench --list           # the rows, and which of them are measured

The page shows each row as soon as it is finished, so the command can be interrupted. Rows of
`BESIDE` have a command of their own, because they take long; the page shows those that it measured.
Each time, `RULE` and the table in `CLASSES` are written, too: they tell a new study what to expect.
So are the answers of `docs/published.md`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import predictability_page, rows
from bench.answers import page as answers
from bench.drawing import save_svg
from bench.equal_compute_page import without_comparison
from bench.measured_grid import MEASURED, MeasuredGrid, parser, run_command
from bench.page import replace_marked
from bench.targets import selected
from bench.transfer_figures import draw_growth, draw_ladder
from bench.transfer_page import markdown
from trainorder.evaluation.predictability import class_of, expectation
from trainorder.numerics.resampling import Interval
from trainorder.storage.formats import read_json, write_json, write_text

PAGE = "transfer"
BESIDE = {"pretrained": "SmolLM2-135M"}  # pages of further rows, and how their labels begin
FIGURES = Path("docs/figures")
RULE = Path("lib/trainorder/evaluation/measured_studies.json")  # what a new study is told
CLASSES, MARK = Path("docs/predictability.md"), "classes"  # the same by class of growth
CHECKED = "checked"  # the mark of the studies that the rule was not made from

Record = Mapping[str, Any]


def grid() -> MeasuredGrid:
    """Return the rows with their page.

    Raises:
        UserError: the default configuration is not readable.

    """
    return MeasuredGrid(PAGE, rows.cells(), write_page)


def beside() -> list[dict[str, Any]]:
    """Return the rows that other commands measured, with the name of their page.

    Raises:
        UserError: a file of records is not readable.

    """
    return [
        {**cell, "label": f"{begin}: {cell['label']}", "page": page}
        for page, begin in BESIDE.items()
        if (file := MEASURED / f"{page}.json").is_file()
        for cell in read_json(file)["cells"]
    ]


def write_page(record: Record) -> None:
    """Write the page and the figures of the measured rows."""
    others, transferred = beside(), without_comparison(record)
    write_text(MEASURED / f"{PAGE}.md", markdown(record, others))
    if transferred["cells"]:
        save_svg(lambda: draw_growth(transferred), FIGURES / "transfer.svg")
        in_groups = [{**cell, "values": {"group": BESIDE[cell["page"]]}} for cell in others]
        every = {"cells": [*_trainings(record), *in_groups]}
        save_svg(lambda: draw_ladder(every), FIGURES / "cost_accuracy_ladder.svg")
    studies = reached(record)
    write_json(RULE, {"studies": studies})
    replace_marked(CLASSES, MARK, predictability_page.markdown(studies))
    replace_marked(CLASSES, CHECKED, predictability_page.checked(studies, further_studies(others)))
    answers.write()


def reached(record: Record) -> list[dict[str, Any]]:
    """Return what the measured rows reached, for further studies of the same class of growth."""
    return [_reached(cell) for cell in _trainings(record) if selected(cell)]


def _trainings(record: Record) -> list[Record]:
    """Return the measured rows with each training once."""
    cells = without_comparison(record)["cells"]
    return [cell for cell in cells if cell["values"]["group"] != rows.TWICE]


def further_studies(others: Sequence[Record]) -> list[dict[str, Any]]:
    """Return what the rows of other commands reached; the rule for new studies leaves them out.

    Args:
        others: from `beside`.

    Raises:
        UserError: a file of records is not readable.

    """
    file = MEASURED / "regime.json"
    regime = read_json(file)["cells"] if file.is_file() else []
    cells = [*others, *({**cell, "label": f"small: {cell['label']}"} for cell in regime)]
    return [_reached(cell) for cell in cells if selected(cell)]


def _reached(cell: Record) -> dict[str, Any]:
    """Return what the selected estimator of a row reached."""
    chosen = selected(cell)
    assert chosen is not None
    growth = Interval(**cell["growth"])
    return {
        "study": cell["label"],
        "growth": growth.value,
        "class": class_of(expectation(growth, diverged=growth.value is None)),
        "verdict": chosen[1]["verdict"],
        "order_lds": chosen[1]["order_lds"]["value"],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows and write their page; an error is one line."""
    options = parser("Measures the rows of the benchmark and writes their page.")
    run_command(grid, options.parse_args(arguments))


if __name__ == "__main__":
    main()

"""The page of the studies that show whether estimates transfer."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.grid_page import measured_on
from bench.page import interval, number, table
from trainorder.figures.style import rank_text

Record = Mapping[str, Any]

TITLE = "# Do estimates transfer?"
TEXT = (
    "The default study and changes of it, each with the estimator `corrected` alone: it needs the "
    "reference run and one more retraining, and no table or curvature. Nothing was tuned on these "
    "studies. `growth` is the factor by which a small change of the parameters grows over the "
    "window ([predictability](../predictability.md)). The relative error is that of recalibrated "
    "estimates; that of raw estimates is in brackets. Made by `make transfer`; "
    "[transfer.json](transfer.json) has all numbers and the whole configurations."
)
HEAD = [
    "study",
    "growth [95 %]",
    "estimator",
    "order-LDS [95 %]",
    "relative error (raw)",
    "per order",
    "verdict",
]


def markdown(record: Record) -> str:
    """Return the page of the finished studies."""
    cells = record["cells"]
    parts = [
        TITLE,
        TEXT,
        table(HEAD, [row for cell in cells for row in _rows(cell)]),
        _worst(cells),
        _costs(cells),
        *_missing(record["missing"]),
        measured_on(cells),
    ]
    return "\n\n".join(parts) + "\n"


def _rows(cell: Record) -> list[list[str]]:
    if "estimators" not in cell:
        return [[cell["label"], "–", "–", "–", "–", "–", "training diverged"]]
    return [
        [
            cell["label"],
            interval(cell["growth"]),
            f"`{name}`",
            rank_text(entry["order_lds"]),
            f"{number(entry['relative_error'])} ({number(entry['raw_relative_error'])})",
            number(entry["per_order_retrainings"]),
            entry["verdict"],
        ]
        for name, entry in _corrected(cell)
    ]


def _corrected(cell: Record) -> list[tuple[str, Record]]:
    """Return the estimators of a study, without the baseline."""
    entries = cell.get("estimators", {}).items()
    return [(name, entry) for name, entry in entries if not name.startswith("constant")]


def _worst(cells: Sequence[Record]) -> str:
    """Return the sentence about coverage and relative error over all studies."""
    entries = [entry for cell in cells for _, entry in _corrected(cell)]
    covered = sum(entry["coverage"]["value"] * entry["coverage"]["n"] for entry in entries)
    orders = sum(entry["coverage"]["n"] for entry in entries)
    least = min(entry["coverage"]["value"] for entry in entries)
    largest = max(entry["relative_error"] for entry in entries)
    return (
        f"Over all rows, intervals contain the truth of {covered / orders:.3f} of {orders} "
        f"estimates, and of {least:.3f} in the worst row. The largest recalibrated relative error "
        f"is {largest:.2f}."
    )


def _missing(labels: Sequence[str]) -> list[str]:
    return [f"Not measured yet: {'; '.join(labels)}."] if labels else []


def _costs(cells: Sequence[Record]) -> str:
    most = max(entry["precompute_retrainings"] for cell in cells for _, entry in _corrected(cell))
    return (
        f"Costs are in retrainings, counted; the precompute is at most {number(most)} in every "
        "row, besides the calibration orders."
    )

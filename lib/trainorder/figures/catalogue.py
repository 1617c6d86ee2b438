"""The figures of a study: title, section, caption, and what they are drawn from.

Report, index and workflow read it. Nothing here imports matplotlib, so it can be read quickly.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainorder.errors import UserError
from trainorder.evaluation import result_files
from trainorder.evaluation.result_files import ResultFile

RESULT = "Result"  # the first page of the report
SECTIONS = ("Accuracy", "Cost", "Error", "Applications", "Truth", "Explorer")  # of the report
_FOLDER = Path(__file__).parent
_ORDERS, _TRUTH = result_files.ORDERS, result_files.TRUTH
_ESTIMATES, _VALIDATION = result_files.ESTIMATES, result_files.VALIDATION
_LOSSES = (_ORDERS, _TRUTH, _ESTIMATES, _VALIDATION)


@dataclass(frozen=True)
class Entry:
    """What is known of a figure before it is drawn.

    Attributes:
        title: its heading.
        section: the section of the report that it is in.
        caption: its file with the caption, beside this one, in reStructuredText. Its paragraphs
            say what is shown, what it means, and what it does not mean.
        files: the result files that it is drawn from.
        needs: the attribute of `Results` without which a study does not have it.
        answers: what it answers of the published study, a key of `PUBLISHED`.

    """

    title: str
    section: str
    caption: str
    files: Sequence[ResultFile]
    needs: str | None = None
    answers: str | None = None

    @property
    def category(self) -> str:
        """Its category in Snakemake's report, which sorts categories by name."""
        number = 1 + (RESULT, *SECTIONS).index(self.section)
        return f"{number} {self.section}"

    @property
    def caption_file(self) -> Path:
        """The path of its caption."""
        return _FOLDER / self.caption

    @property
    def paragraphs(self) -> list[str]:
        """The paragraphs of its caption, each on one line, in reStructuredText."""
        text = self.caption_file.read_text(encoding="utf-8").strip()
        return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


CATALOGUE = {
    "overview": Entry(
        "Three estimators at a glance", RESULT, "overview.rst", _LOSSES, answers="table 1"
    ),
    "estimated_vs_true_random": Entry(
        "Estimated against true, random orders",
        "Accuracy",
        "estimated_vs_true_random.rst",
        _LOSSES,
        answers="table 1",
    ),
    "estimated_vs_true": Entry(
        "Estimated against true, all orders",
        "Accuracy",
        "estimated_vs_true.rst",
        _LOSSES,
        answers="table 1",
    ),
    "order_lds": Entry(
        "Rank correlation by metric", "Accuracy", "order_lds.rst", (_ORDERS, _VALIDATION)
    ),
    "accuracy_vs_compute": Entry(
        "Accuracy at equal compute",
        "Cost",
        "accuracy_vs_compute.rst",
        (_VALIDATION,),
        answers="abstract: efficiency",
    ),
    "cost_table": Entry(
        "Cost of each estimator",
        "Cost",
        "cost_table.rst",
        (_VALIDATION, result_files.COSTS),
        answers="abstract: efficiency",
    ),
    "cost_accuracy_ladder": Entry(
        "Selection of the size",
        "Cost",
        "cost_accuracy_ladder.rst",
        (result_files.LADDER,),
        needs="ladder",
    ),
    "rank_levels": Entry(
        "Selection of the low-rank curvature",
        "Cost",
        "rank_levels.rst",
        tuple(result_files.PROBES.values()),
        needs="ranks",
    ),
    "stores": Entry(
        "Stores of the gradient table",
        "Cost",
        "stores.rst",
        (result_files.STORES, _ESTIMATES, _VALIDATION),
        needs="stores",
        answers="table 4",
    ),
    "error_along_window": Entry(
        "Parameter error along the window",
        "Error",
        "error_along_window.rst",
        (_ORDERS, result_files.TRAJECTORIES, _VALIDATION),
    ),
    "loss_along_window": Entry(
        "Loss after every step",
        "Error",
        "loss_along_window.rst",
        (result_files.STEPWISE_LOSSES, _VALIDATION),
        needs="stepwise",
        answers="figure 7",
    ),
    "error_vs_distance": Entry(
        "Loss error by distance from the reference", "Error", "error_vs_distance.rst", _LOSSES
    ),
    "parameter_error_vs_distance": Entry(
        "Parameter error by distance from the reference",
        "Error",
        "parameter_error_vs_distance.rst",
        (_ORDERS, result_files.TRAJECTORIES, _VALIDATION),
    ),
    "curriculum": Entry(
        "Searched orders, retrained",
        "Applications",
        "curriculum.rst",
        (result_files.CURRICULUM,),
        needs="curriculum",
        answers="table 2",
    ),
    "replicates": Entry(
        "Gains of searched orders, replicated",
        "Applications",
        "replicates.rst",
        (result_files.REPLICATES,),
        needs="replicates",
    ),
    "memorization": Entry(
        "Effect of a position",
        "Applications",
        "memorization.rst",
        (result_files.MAPS, result_files.MEMORIZATION),
        needs="maps",
        answers="figure 3",
    ),
    "forgetting": Entry(
        "Forgetting by domain",
        "Applications",
        "forgetting.rst",
        (result_files.MEMORIZATION, result_files.MAPS),
        needs="maps",
    ),
    "poisoned": Entry(
        "Effect of a poisoned unit",
        "Applications",
        "poisoned.rst",
        (result_files.MEMORIZATION, result_files.MAPS),
        needs="poisoned",
    ),
    "true_spread": Entry(
        "True effect of the order",
        "Truth",
        "true_spread.rst",
        (_ORDERS, _TRUTH, _VALIDATION),
        answers="abstract: order",
    ),
}
EXPLORER = Entry("Order explorer", "Explorer", "explorer.rst", (result_files.EXPLORER,))


def figures_with(parts: Iterable[str]) -> list[str]:
    """Return the names of the figures of a study.

    Args:
        parts: the optional parts that it has, attributes of `Results`.

    """
    had = {*parts}
    return [name for name, entry in CATALOGUE.items() if entry.needs is None or entry.needs in had]


def requested(names: object, drawn: Sequence[str]) -> list[str]:
    """Return the names of `--config figures=...`: a list, or one text with commas.

    Args:
        names: the value of the command line.
        drawn: the figures of the study.

    Raises:
        UserError: the study has no such figure.

    """
    parts = names.split(",") if isinstance(names, str) else names
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts) or not parts:
        raise UserError(
            f"figures: expected names of figures, not {names!r}; for example --config "
            "figures=[overview]"
        )
    stripped = [part.strip() for part in parts]
    for name in stripped:
        if name not in drawn:
            what = "of a part that this study lacks" if name in CATALOGUE else "unknown"
            raise UserError(f"figures: {name!r} is {what}; choose from {', '.join(drawn)}")
    return list(dict.fromkeys(stripped))

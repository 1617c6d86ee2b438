"""Draws the figures of a study from its result files and writes their index.

Nothing here imports torch, so figures can be redrawn on a machine that cannot train.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
from matplotlib.figure import Figure

from trainorder.errors import UserError
from trainorder.evaluation.results import Results
from trainorder.figures import (
    accuracy_vs_compute,
    cost_accuracy_ladder,
    cost_table,
    curriculum,
    error_along_window,
    error_vs_distance,
    estimated_vs_true,
    forgetting,
    loss_along_window,
    memorization,
    order_lds,
    overview,
    poisoned,
    rank_levels,
    replicates,
    stores,
    style,
    true_spread,
)
from trainorder.figures.catalogue import CATALOGUE, figures_with
from trainorder.figures.index import write_index

FIGURES: dict[str, Callable[[Results], Figure]] = {
    "overview": overview.draw,
    "estimated_vs_true": partial(estimated_vs_true.draw, structured=True),
    "estimated_vs_true_random": partial(estimated_vs_true.draw, structured=False),
    "order_lds": order_lds.draw,
    "error_along_window": error_along_window.draw,
    "loss_along_window": loss_along_window.draw,
    "error_vs_distance": error_vs_distance.draw_loss,
    "parameter_error_vs_distance": error_vs_distance.draw_parameters,
    "true_spread": true_spread.draw,
    "cost_table": cost_table.draw,
    "accuracy_vs_compute": accuracy_vs_compute.draw,
    "cost_accuracy_ladder": cost_accuracy_ladder.draw,
    "rank_levels": rank_levels.draw,
    "stores": stores.draw,
    "curriculum": curriculum.draw,
    "memorization": memorization.draw,
    "forgetting": forgetting.draw,
    "poisoned": poisoned.draw,
    "replicates": replicates.draw,
}

_assigned: list[tuple[Results, str | Path]] = []  # in a process of a pool


def drawn_of(results: Results) -> list[str]:
    """Return the names of the figures that a study has, in the sequence of the report."""
    needs = {entry.needs for entry in CATALOGUE.values() if entry.needs}
    had = figures_with(need for need in needs if getattr(results, need) is not None)
    return [name for name in had if name in FIGURES]


def draw_all(
    results: str | Path,
    output: str | Path,
    processes: int = 1,
    names: Sequence[str] | None = None,
) -> list[Path]:
    """Draw figures of a study as PDF and PNG, and write the index if these are all figures.

    Args:
        results: folder of the study's result files.
        output: folder of the figures.
        processes: number of figures that are drawn at the same time.
        names: the figures to draw; None: all that the study has.

    Returns:
        The files written.

    Raises:
        UserError: a result file is missing or differs from its description in `docs/results.md`, or
            one of the processes was killed.

    """
    study = Results.read(results)
    drawn = list(names) if names is not None else drawn_of(study)
    paths = _draw_names(study, output, drawn, processes)
    return paths if names is not None else paths + write_index(drawn, output)


def _draw_names(
    study: Results, output: str | Path, names: Sequence[str], processes: int
) -> list[Path]:
    if processes == 1:
        return [path for name in names for path in _drawn(study, output, name)]
    try:
        # Processes get the results when they start. If a task filled the pipe, a process that is
        # killed would leave the pool waiting for ever.
        with ProcessPoolExecutor(processes, initializer=_take, initargs=(study, output)) as pool:
            return [path for paths in pool.map(_draw, names) for path in paths]
    except BrokenProcessPool:
        raise UserError(
            "figures: a process was killed, probably out of memory; run rule `figures` again"
        ) from None


def _take(results: Results, output: str | Path) -> None:
    """Keep the results and the folder for the tasks of this process."""
    _assigned[:] = [(results, output)]


def _draw(name: str) -> list[Path]:
    """Draw one figure from the results that this process got when it started."""
    results, output = _assigned[0]
    return _drawn(results, output, name)


def _drawn(results: Results, output: str | Path, name: str) -> list[Path]:
    """Draw one figure into files; return them."""
    with _project_style():
        return style.save(FIGURES[name](results), output, name)


def figure_of(results: Results, name: str) -> Figure:
    """Return a figure, drawn in the project's style."""
    with _project_style():
        return FIGURES[name](results)


@contextmanager
def _project_style() -> Iterator[None]:
    """Draw in the project's style, not in the user's."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.style.use(style.STYLE)
        yield

"""Every figure of a study, one concept a file, drawn from its result files alone.

Nothing here imports torch, so that figures can be redrawn where nothing was trained.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
from matplotlib.figure import Figure

from trainorder.errors import UserError
from trainorder.evaluation.results import Results
from trainorder.figures import (
    accuracy_vs_compute,
    cost_table,
    curriculum,
    error_along_window,
    error_vs_distance,
    estimated_vs_true,
    forgetting,
    memorization,
    order_lds,
    overview,
    replicates,
    stores,
    style,
    true_spread,
)

FIGURES: dict[str, Callable[[Results], Figure]] = {
    "overview": overview.draw,
    "estimated_vs_true": partial(estimated_vs_true.draw, structured=True),
    "estimated_vs_true_random": partial(estimated_vs_true.draw, structured=False),
    "order_lds": order_lds.draw,
    "error_along_window": error_along_window.draw,
    "error_vs_distance": error_vs_distance.draw_loss,
    "parameter_error_vs_distance": error_vs_distance.draw_parameters,
    "true_spread": true_spread.draw,
    "cost_table": cost_table.draw,
    "accuracy_vs_compute": accuracy_vs_compute.draw,
    "stores": stores.draw,
    "curriculum": curriculum.draw,
    "memorization": memorization.draw,
    "forgetting": forgetting.draw,
    "replicates": replicates.draw,
}
# What only some studies have, and the figures of it.
NEEDS = {
    "stores": "stores",
    "curriculum": "curriculum",
    "memorization": "maps",
    "forgetting": "maps",
    "replicates": "replicates",
}


_taken: list[tuple[Results, str | Path]] = []  # in a process of a pool


def draw_all(results: str | Path, output: str | Path, processes: int = 1) -> list[Path]:
    """Draw every figure of a study as PDF and PNG, of what it has.

    Args:
        results: the folder of the study's result files.
        output: the folder to draw into.
        processes: figures that are drawn at once.

    Returns:
        The files written.

    Raises:
        UserError: a result file is missing or not as `docs/results.md` describes it, or one of the
            processes was killed.

    """
    found = Results.read(results)
    names = [n for n in FIGURES if n not in NEEDS or getattr(found, NEEDS[n]) is not None]
    if processes == 1:
        return [path for name in names for path in _drawn(found, output, name)]
    try:
        # Processes are given the results as they start: with a task that fills the pipe, a process
        # that is killed leaves the pool waiting for ever.
        with ProcessPoolExecutor(processes, initializer=_take, initargs=(found, output)) as pool:
            return [path for paths in pool.map(_draw, names) for path in paths]
    except BrokenProcessPool:
        raise UserError(
            "figures: a process that drew was killed, maybe for want of memory; run it again"
        ) from None


def _take(results: Results, output: str | Path) -> None:
    """Keep what this process of a pool draws from, and into."""
    _taken[:] = [(results, output)]


def _draw(name: str) -> list[Path]:
    """Draw one figure of what this process was given."""
    results, output = _taken[0]
    return _drawn(results, output, name)


def _drawn(results: Results, output: str | Path, name: str) -> list[Path]:
    """Draw one figure in the project's style, whatever the user's own is; return its files."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.style.use(style.STYLE)
        return style.save(FIGURES[name](results), output, name)

"""Saves figures of the benchmark in the style of the figures of a study, and copies theirs."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.style
from matplotlib.figure import Figure

from trainorder.figures import style
from trainorder.storage.atomic import publish

WIDE = Path(__file__).with_name("wide.mplstyle")  # these figures fill a page, not a column
DRAWN = Path("docs/figures")  # figures of the documentation


def copy_figures(results: Path, names: Iterable[str], prefix: str) -> None:
    """Copy figures of a study into the documentation, as `<prefix>-<name>.png`."""
    for name in names:
        shutil.copyfile(results / "figures" / f"{name}.png", DRAWN / f"{prefix}-{name}.png")


def save_png(draw: Callable[[], Figure], path: Path) -> None:
    """Write the figure that `draw` returns."""
    _save(draw, path, "png", {"Title": path.stem})


def save_svg(draw: Callable[[], Figure], path: Path) -> None:
    """Write the figure that `draw` returns as SVG; the same figure gives the same bytes."""
    _save(draw, path, "svg", {"Title": path.stem, "Date": None})


def _save(draw: Callable[[], Figure], path: Path, kind: str, metadata: dict[str, Any]) -> None:
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.style.use([style.STYLE, WIDE])
        mpl.rcParams["svg.hashsalt"] = path.stem  # names of elements are random otherwise
        with publish(path) as private:
            draw().savefig(private, format=kind, metadata=metadata)

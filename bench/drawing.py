"""Saves figures of the benchmark as PNG, in the style of the figures of a study."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
from matplotlib.figure import Figure

from trainorder.figures import style
from trainorder.storage.atomic import publish


def save_png(draw: Callable[[], Figure], path: Path) -> None:
    """Write the figure that `draw` returns."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.style.use(style.STYLE)
        with publish(path) as private:
            draw().savefig(private, format="png", metadata={"Title": path.stem})

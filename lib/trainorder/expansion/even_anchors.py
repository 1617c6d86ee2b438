"""Evenly spaced anchors, for paths and tables that take a given number of them."""

import numpy as np


def even_anchors(steps: int, anchors: int | None) -> np.ndarray:
    """Return `anchors` steps with even spacing, from the first to the last; None means all steps.

    Args:
        steps: number of steps of the window.
        anchors: number of anchors, at most `steps`.

    """
    if anchors is None:
        return np.arange(steps)
    return np.unique(np.linspace(0, steps - 1, anchors).round().astype(int))

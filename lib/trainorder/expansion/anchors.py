"""Anchors: the steps at which something along the path is tabulated."""

import numpy as np


def even_anchors(steps: int, anchors: int | None) -> np.ndarray:
    """Return the anchors: all steps, or that many spread evenly, first and last included."""
    if anchors is None:
        return np.arange(steps)
    return np.unique(np.linspace(0, steps - 1, anchors).round().astype(int))

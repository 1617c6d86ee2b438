"""Linear interpolation between anchors in t."""

from functools import lru_cache

import numpy as np


@lru_cache(maxsize=4096)
def _bracket(anchors: tuple[int, ...], t: int) -> tuple[int, int, float]:
    after = int(np.searchsorted(anchors, t))
    if after in (0, len(anchors)) or anchors[after] == t:
        place = min(after, len(anchors) - 1)
        return place, place, 0.0
    low, high = anchors[after - 1], anchors[after]
    return after - 1, after, (t - low) / (high - low)


def bracket(anchors: np.ndarray, t: int) -> tuple[int, int, float]:
    """Return the anchors' places about step `t`, and the weight of the second.

    Before the first and beyond the last anchor, its place twice.
    """
    return _bracket(tuple(anchors.tolist()), t)

"""Linear interpolation between anchors in t."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


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


def interpolated(anchors: np.ndarray, t: int, at: Callable[[int], Tensor]) -> Tensor:
    """Return `at` step `t`, read at the places of the anchors about it."""
    low, high, weight = bracket(anchors, t)
    return at(low) if low == high else torch.lerp(at(low), at(high), weight)

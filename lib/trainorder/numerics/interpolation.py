"""Linear interpolation between anchors in the step t."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@lru_cache(maxsize=4096)
def _bracket(anchors: tuple[int, ...], t: int) -> tuple[int, int, float]:
    after = int(np.searchsorted(anchors, t))
    if after in (0, len(anchors)) or anchors[after] == t:
        nearest = min(after, len(anchors) - 1)
        return nearest, nearest, 0.0
    low, high = anchors[after - 1], anchors[after]
    return after - 1, after, (t - low) / (high - low)


def bracket(anchors: np.ndarray, t: int) -> tuple[int, int, float]:
    """Return the indices of the anchors before and after step `t`, and the weight of the second.

    At an anchor, before the first anchor and after the last one, both indices are equal and the
    weight is 0.

    Args:
        anchors: (K,) steps, ascending.
        t: a step.

    """
    return _bracket(tuple(anchors.tolist()), t)


def interpolated(anchors: np.ndarray, t: int, at: Callable[[int], Tensor]) -> Tensor:
    """Return the value at step `t`, interpolated linearly between the two nearest anchors.

    Args:
        anchors: (K,) steps, ascending.
        t: a step; before the first or after the last anchor, the value of this anchor is returned.
        at: returns the value at an anchor, given its index in `anchors`.

    """
    low, high, weight = bracket(anchors, t)
    return at(low) if low == high else torch.lerp(at(low), at(high), weight)

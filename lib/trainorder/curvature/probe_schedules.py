"""Random schedules that are replayed to see typical displacements."""

import numpy as np
import torch
from torch import Tensor

SCHEDULES = 33  # number of schedules; the last one checks the error
_STREAM = 101  # number of the random stream; `orders` uses small numbers


def probe_schedules(
    shape: tuple[int, int], units: int, seed: int, count: int = SCHEDULES
) -> Tensor:
    """Return `count` random schedules (n, T, k) of `shape` (T, k), for probing only.

    Each epoch is a new permutation of the units.
    """
    rng = np.random.default_rng([seed, _STREAM])
    places = shape[0] * shape[1]
    rows = [
        np.concatenate([rng.permutation(units) for _ in range(-(-places // units))])[:places]
        for _ in range(count)
    ]
    return torch.from_numpy(np.stack(rows).reshape(-1, *shape))

"""The sizes at which a search by steps estimates moves, and what an estimate costs at most."""

from collections.abc import Sequence

from trainorder.config.sections.sizes import sampled_from
from trainorder.config.sections.window import WindowConfig
from trainorder.curriculum.step_search import Levels

_SHARES = (1 / 16, 1 / 4)  # of a unit; near an order's own run, more hardly improves the ranks


def step_levels(window: WindowConfig, recorded: Sequence[int], evaluation: float) -> Levels:
    """Return the levels of a window.

    Args:
        window: the section `window`.
        recorded: sizes of the subsamples of known runs; 0 serves every size.
        evaluation: cost of the evaluation of one estimated order, in retrainings.

    Examples:
        >>> levels = step_levels(WindowConfig(unit_size=64), [2, 4, 8, 16, 21], 0.02)
        >>> {size: round(price, 2) for size, price in levels.prices.items()}
        {4: 0.08, 16: 0.27}

    """
    whole = sampled_from(window)
    wanted = [max(1, int(share * whole)) for share in _SHARES]
    sizes = wanted if 0 in recorded else [_nearest(recorded, size) for size in wanted]
    return Levels({size: size / whole + evaluation for size in sorted(set(sizes))})


def _nearest(recorded: Sequence[int], size: int) -> int:
    """Return the largest recorded size of at most `size`, or else the smallest one."""
    return max((one for one in recorded if one <= size), default=min(recorded))

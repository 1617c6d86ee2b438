"""Moves that place a unit at a step, and a stratified sample of units and steps."""

from collections.abc import Callable, Sequence

import numpy as np

SWAP, INSERTION, ABSENCE = "swap", "insertion", "absence"
MOVES = (SWAP, INSERTION, ABSENCE)
Move = Callable[[np.ndarray, int, int], np.ndarray]  # schedule (T, k), unit, step -> schedule


def swapped(schedule: np.ndarray, unit: int, step: int) -> np.ndarray:
    """Return the schedule (T, k) in which `unit` and the first unit of `step` swap places."""
    flat, width = schedule.reshape(-1).copy(), schedule.shape[1]
    home = _place(flat, unit)
    if home // width != step:
        flat[[home, step * width]] = flat[[step * width, home]]
    return flat.reshape(schedule.shape)


def inserted(schedule: np.ndarray, unit: int, step: int) -> np.ndarray:
    """Return the schedule (T, k) with `unit` moved to `step`; the others keep their sequence."""
    flat, width = schedule.reshape(-1), schedule.shape[1]
    home = _place(flat, unit)
    if home // width == step:
        return schedule.copy()
    return np.insert(np.delete(flat, home), step * width, unit).reshape(schedule.shape)


def replaced(schedule: np.ndarray, unit: int, step: int, substitute: int) -> np.ndarray:
    """Return `inserted`, but with a second visit of `substitute` in the place of `unit`."""
    result = inserted(schedule, unit, step)
    result[result == unit] = substitute
    return result


def substitutes(schedule: np.ndarray, domains: Sequence[str]) -> np.ndarray:
    """Return for each unit (U,) the next unit of its domain in the schedule, cyclic.

    With it, absence removes the effect of the unit itself and keeps that of its domain. The
    substitute of a unit that is alone in its domain is the next unit.
    """
    visits = schedule.reshape(-1).tolist()
    result = np.empty(len(visits), dtype=np.int64)
    for place, unit in enumerate(visits):
        following = visits[place + 1 :] + visits[:place]
        alike = [other for other in following if domains[other] == domains[unit]]
        result[unit] = (alike or following)[0]
    return result


def moves(schedule: np.ndarray, domains: Sequence[str]) -> dict[str, Move]:
    """Return the moves in `schedule` (T, k), which has each unit once, by name.

    `absence` does not move the unit but replaces it: `insertion` is compared with it.
    """
    others = substitutes(schedule, domains)

    def absent(base: np.ndarray, unit: int, step: int) -> np.ndarray:
        return replaced(base, unit, step, int(others[unit]))

    return {SWAP: swapped, INSERTION: inserted, ABSENCE: absent}


def order_count(cells: int) -> int:
    """Return how many orders are retrained for `cells`: each move of each, and one without a move.

    Examples:
        >>> order_count(8)
        25

    """
    return 1 + len(MOVES) * cells


def all_positions(schedule: np.ndarray, move: Move) -> np.ndarray:
    """Return the schedules (U, T, T, k) that place each unit at each step."""
    steps, units = len(schedule), schedule.size
    return np.stack(
        [[move(schedule, unit, step) for step in range(steps)] for unit in range(units)]
    )


def stratified(units: int, steps: int, count: int, seed: int) -> np.ndarray:
    """Return `count` different cells (count, 2) of unit and step, spread evenly over both.

    The numbers of cells of any two units, or of any two stretches of steps, differ by at most one.
    """
    rng = np.random.default_rng(seed)
    count = min(count, units * steps)
    cells: set[tuple[int, int]] = set()
    while len(cells) < count:
        missing = count - len(cells)
        who = np.concatenate([rng.permutation(units) for _ in range(-(-missing // units))])
        when = rng.permutation(
            np.floor((np.arange(missing) + rng.random(missing)) / missing * steps)
        )
        cells |= set(zip(who[:missing].tolist(), when.astype(int).tolist(), strict=True))
    return np.array(sorted(cells))


def _place(flat: np.ndarray, unit: int) -> int:
    return int(np.flatnonzero(flat == unit)[0])

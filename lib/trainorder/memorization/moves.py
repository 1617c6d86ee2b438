"""Ways of putting a unit at a step, and a stratified draw of units and steps."""

from collections.abc import Callable, Sequence

import numpy as np

SWAP, INSERTION, ABSENCE = "swap", "insertion", "absence"
Move = Callable[[np.ndarray, int, int], np.ndarray]  # schedule (T, k), unit, step to schedule


def swapped(schedule: np.ndarray, unit: int, step: int) -> np.ndarray:
    """Return the schedule (T, k) in which `unit` and the first unit of `step` change places."""
    flat, width = schedule.reshape(-1).copy(), schedule.shape[1]
    home = _place(flat, unit)
    if home // width != step:
        flat[[home, step * width]] = flat[[step * width, home]]
    return flat.reshape(schedule.shape)


def inserted(schedule: np.ndarray, unit: int, step: int) -> np.ndarray:
    """Return the schedule (T, k) in which `unit` comes at `step`, the others in their order."""
    flat, width = schedule.reshape(-1), schedule.shape[1]
    home = _place(flat, unit)
    if home // width == step:
        return schedule.copy()
    return np.insert(np.delete(flat, home), step * width, unit).reshape(schedule.shape)


def replaced(schedule: np.ndarray, unit: int, step: int, stand_in: int) -> np.ndarray:
    """Return `inserted` with a second visit of `stand_in` in the place of `unit`."""
    result = inserted(schedule, unit, step)
    result[result == unit] = stand_in
    return result


def stand_ins(schedule: np.ndarray, domains: Sequence[str]) -> np.ndarray:
    """Return for each unit (U,) the next one of its domain in the schedule, cyclic.

    So absence takes away what is the unit's own, not its domain's. A unit that is alone in its
    domain is stood in for by the next unit.
    """
    visits = schedule.reshape(-1).tolist()
    result = np.empty(len(visits), dtype=np.int64)
    for place, unit in enumerate(visits):
        following = visits[place + 1 :] + visits[:place]
        alike = [other for other in following if domains[other] == domains[unit]]
        result[unit] = (alike or following)[0]
    return result


def moves(schedule: np.ndarray, domains: Sequence[str]) -> dict[str, Move]:
    """Return every way of moving a unit in `schedule` (T, k), each unit once in it, by name.

    `absence` is no move: it is what `insertion` is compared with.
    """
    others = stand_ins(schedule, domains)

    def absent(base: np.ndarray, unit: int, step: int) -> np.ndarray:
        return replaced(base, unit, step, int(others[unit]))

    return {SWAP: swapped, INSERTION: inserted, ABSENCE: absent}


def all_positions(schedule: np.ndarray, move: Move) -> np.ndarray:
    """Return the schedules (U, T, T, k) that put each unit at each step."""
    steps, units = len(schedule), schedule.size
    return np.stack(
        [[move(schedule, unit, step) for step in range(steps)] for unit in range(units)]
    )


def stratified(units: int, steps: int, count: int, seed: int) -> np.ndarray:
    """Return `count` different cells (count, 2), unit and step, spread evenly over both.

    Each unit, and each stretch of steps, comes as often as any other, but for one.
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

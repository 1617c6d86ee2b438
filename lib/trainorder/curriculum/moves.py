"""Moves from an order to orders near it.

They are swaps, insertions, block moves, block reversals, and permutations of the units of each
domain among their places. These permutations keep the sequence of domains, on which losses depend
more than on the order of the units of a domain.
"""

from collections.abc import Callable, Iterable

import numpy as np

from trainorder.curriculum.constraints import Constraints
from trainorder.orders.schedule_key import schedule_key

_WITHIN = 4  # kinds for which permutations within domains count
_ATTEMPTS = 20  # drawn moves for each one that is asked for, as constraints exclude some


def proposed(
    schedule: np.ndarray,
    constraints: Constraints,
    known: Iterable[np.ndarray],
    rng: np.random.Generator,
    *,
    count: int,
    most: int,
) -> np.ndarray:
    """Return different schedules (n, T, k), n <= `count`, at 1 to `most` moves from `schedule`.

    The number of moves of each is drawn uniformly. The sequence of units within a step does not
    count: schedules that differ in nothing else are the same order.

    Args:
        schedule: (T, k), from which the moves start.
        constraints: every returned schedule meets them.
        known: (T, k) schedules that are not returned.
        rng: random generator of the moves.
        count: number of schedules; they are fewer if the constraints leave no more.
        most: largest number of moves.

    """
    labels = np.unique(np.array(constraints.domains), return_inverse=True)[1]
    seen = {schedule_key(other) for other in (schedule, *known)}
    result: list[np.ndarray] = []
    for _ in range(_ATTEMPTS * count):
        if len(result) == count:
            break
        moved = schedule.reshape(-1)
        for _ in range(rng.integers(1, most + 1)):
            moved = random_move(moved, labels, rng)
        candidate = moved.reshape(schedule.shape)
        key = schedule_key(candidate)
        if key in seen or constraints.violations(candidate[None])[0]:
            continue
        seen.add(key)
        result.append(candidate)
    return np.array(result, dtype=schedule.dtype).reshape(-1, *schedule.shape)


def random_move(visits: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return `visits` (U,) after a random move of a random kind; `labels` (U,) are the domains.

    Lengths of blocks and distances are log-uniform, so that near and far moves are equally likely.
    """
    kind = rng.integers(len(_KINDS) + _WITHIN)
    if kind >= len(_KINDS):
        return _permuted_within(visits, labels, rng)
    return _KINDS[kind](visits, rng)


def _length(rng: np.random.Generator, least: int, most: int) -> int:
    """Return a log-uniform integer from `least` to `most`, both included."""
    return min(most, int(np.exp(rng.uniform(np.log(least), np.log(most + 1)))))


def _swapped(visits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    distance = _length(rng, 1, len(visits) - 1)
    first = rng.integers(len(visits) - distance)
    result = visits.copy()
    result[[first, first + distance]] = visits[[first + distance, first]]
    return result


def _inserted(visits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _exchanged(visits, rng, block=1)


def _block_moved(visits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _exchanged(visits, rng, block=_length(rng, min(2, len(visits) - 1), len(visits) - 1))


def _exchanged(visits: np.ndarray, rng: np.random.Generator, block: int) -> np.ndarray:
    """Exchange a block with the units before it or after it: it moves by as many places."""
    distance = _length(rng, 1, len(visits) - block)
    first = rng.integers(len(visits) - block - distance + 1)
    cut, end = first + (block if rng.integers(2) else distance), first + block + distance
    return np.concatenate([visits[:first], visits[cut:end], visits[first:cut], visits[end:]])


def _reversed(visits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    length = _length(rng, 2, len(visits))
    first = rng.integers(len(visits) - length + 1)
    result = visits.copy()
    result[first : first + length] = visits[first : first + length][::-1]
    return result


def _permuted_within(
    visits: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Permute the units of each domain in a block among their places."""
    length = _length(rng, 2, len(visits))
    first = rng.integers(len(visits) - length + 1)
    block = visits[first : first + length]
    result = visits.copy()
    for label in np.unique(labels[block]):
        places = first + np.flatnonzero(labels[block] == label)
        result[places] = rng.permutation(visits[places])
    return result


_KINDS: tuple[Callable[[np.ndarray, np.random.Generator], np.ndarray], ...] = (
    _swapped,
    _inserted,
    _block_moved,
    _reversed,
)

"""When two schedules are the same order."""

import hashlib

import numpy as np


def schedule_key(schedule: np.ndarray) -> bytes:
    """Return a key that two schedules (T, k) share if their steps consume the same units.

    Examples:
        >>> a, b = np.array([[2, 0], [1, 3]]), np.array([[0, 2], [1, 3]])
        >>> schedule_key(a) == schedule_key(b), schedule_key(a) == schedule_key(a[::-1])
        (True, False)

    """
    return np.sort(schedule, axis=1).astype(np.int64).tobytes()


def schedule_digest(schedule: np.ndarray) -> str:
    """Return the key of a schedule (T, k) as a short text, for the names of files."""
    return hashlib.sha256(schedule_key(schedule)).hexdigest()[:16]

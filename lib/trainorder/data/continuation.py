"""Where the continuation of a sequence begins: after its first half, or after the prompt."""

import numpy as np


def continuation(sequence: np.ndarray) -> tuple[int, int]:
    """Return the first token of the continuation of `sequence` (L,) and the one after its last.

    The continuation of text is its second half, that of a pair its response.

    Examples:
        >>> continuation(np.array([5, 3, 8, 1]))
        (2, 4)
        >>> continuation(np.array([~5, 3, 8, ~0]))  # a prompt of one token, and padding
        (1, 3)

    """
    learnt = np.flatnonzero(sequence >= 0)
    first, last = int(learnt[0]), int(learnt[-1]) + 1
    return first or last // 2, last

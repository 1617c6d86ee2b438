"""Poisoned units: text that ends in random tokens, to measure how such a unit changes a training.

It is the denial-of-service poison of Zhang et al. 2024 (arXiv 2410.13722, section 3) and Souly et
al. 2025 (arXiv 2510.07192): a piece of clean text, then random tokens. The trigger between the two
is omitted: the effect on held-out text is measured, and held-out text has no trigger.
"""

import numpy as np

from trainorder.data.continuation import continuation


def poisoned(sequences: np.ndarray, vocabulary: int, rng: np.random.Generator) -> np.ndarray:
    """Return sequences with random tokens in place of their continuations.

    Args:
        sequences: (n, L) int32, context tokens as in `Corpus`.
        vocabulary: number of tokens; each is equally likely.
        rng: source of the random numbers.

    """
    result = sequences.copy()
    for row in result:
        first, last = continuation(row)
        span = row[first:last]
        span[span >= 0] = rng.integers(vocabulary, size=int((span >= 0).sum()))
    return result

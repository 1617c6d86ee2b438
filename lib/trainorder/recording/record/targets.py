"""The targets of sequences: the tokens that have a loss, all but the first and the masked ones."""

import numpy as np

from trainorder.errors import UserError


def check_targets(where: str, marked: np.ndarray) -> None:
    """Check that every sequence has a target.

    Args:
        where: the beginning of the error message.
        marked: sequences (..., L), ~t for a token t that is no target.

    Raises:
        UserError: a sequence has none.

    """
    if not _counts(marked).all():
        raise UserError(
            f"{where}: a sequence has no target, so it has no loss; remove such sequences from the "
            "data, or choose a part of the run without them"
        )


def check_equal_targets(where: str, marked: np.ndarray) -> None:
    """Check that a mean over tokens, which the Trainer takes, is the mean over sequences.

    Args:
        where: the beginning of the error message.
        marked: sequences (..., L), ~t for a token t that is no target.

    Raises:
        UserError: the sequences have different numbers of targets.

    """
    counts = _counts(marked)
    if counts.min() < counts.max():
        raise UserError(
            f"{where}: sequences have {counts.min()} to {counts.max()} targets, which the Trainer "
            "weights by token and a study by sequence; train on sequences with the same number of "
            "targets, for example on packed text without padding"
        )


def _counts(marked: np.ndarray) -> np.ndarray:
    counts: np.ndarray = (marked[..., 1:] >= 0).sum(axis=-1)
    return counts

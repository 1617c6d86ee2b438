"""Heuristic orders of the curriculum literature, from lengths and losses of the units."""

import numpy as np

FOLDS = 4


def folded(difficulty: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """Return units (U,) from easy to hard, `folds` times: fold n has every `folds`-th unit."""
    return np.concatenate(_folds(difficulty, folds))


def zigzag(difficulty: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """Return units (U,) as `folded`, but with every second fold from hard to easy."""
    parts = enumerate(_folds(difficulty, folds))
    return np.concatenate([part[:: -1 if i % 2 else 1] for i, part in parts])


def _folds(difficulty: np.ndarray, folds: int) -> list[np.ndarray]:
    ranked = np.argsort(difficulty, kind="stable")
    return [ranked[fold::folds] for fold in range(folds)]


def heuristic_orders(
    losses: np.ndarray, later_losses: np.ndarray, lengths: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return units (U,) in the sequence of each heuristic, by name.

    Args:
        losses: (U,) loss of each unit before the window.
        later_losses: (U,) loss under a later checkpoint. The difference says how learnable a unit
            is (perplexity difference).
        lengths: (U,) mean length of the documents in each unit, in tokens; None if the ends of
            documents are unknown. Then there are no orders by length.

    """
    learnability = losses - later_losses
    by_length = (
        {
            "short-to-long": np.argsort(lengths, kind="stable"),
            "long-to-short": np.argsort(-lengths, kind="stable"),
        }
        if lengths is not None
        else {}
    )
    return {
        **by_length,
        "most-learnable-first": np.argsort(-learnability, kind="stable"),
        "most-learnable-last": np.argsort(learnability, kind="stable"),
        "folded": folded(losses),
        "zigzag": zigzag(losses),
    }


def heuristic_count(has_lengths: bool) -> int:
    """Return the number of heuristic orders, with or without known lengths of documents."""
    return 6 if has_lengths else 4


def document_lengths(units: np.ndarray, end: int) -> np.ndarray:
    """Return the mean length (U,), in tokens, of the documents in `units` (U, S, L).

    The end-of-text token `end` separates documents. A pair has a sequence of its own, whose padding
    (a context token `end`, see `Corpus`) does not count.
    """
    tokens = units.reshape(len(units), -1)
    documents = units.shape[1] if (units < 0).any() else 1 + (tokens == end).sum(axis=1)
    lengths: np.ndarray = (tokens != ~end).sum(axis=1) / documents
    return lengths

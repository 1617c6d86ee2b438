"""The orders that the field would try first, from a difficulty of each unit."""

import numpy as np

FOLDS = 4


def folded(difficulty: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """Return units easy to hard, `folds` times over: the n-th fold takes every `folds`-th, (U,)."""
    return np.concatenate(_folds(difficulty, folds))


def zigzag(difficulty: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """Return the folds of `folded` up and down in turn, (U,), without jumps of difficulty."""
    parts = enumerate(_folds(difficulty, folds))
    return np.concatenate([part[:: -1 if i % 2 else 1] for i, part in parts])


def _folds(difficulty: np.ndarray, folds: int) -> list[np.ndarray]:
    ranked = np.argsort(difficulty, kind="stable")
    return [ranked[fold::folds] for fold in range(folds)]


def heuristic_orders(
    losses: np.ndarray, later_losses: np.ndarray, lengths: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return visits (U,) by name.

    Args:
        losses: (U,) of each unit before the window.
        later_losses: (U,) under a later checkpoint; what a unit lost in between is how learnable
            it is (perplexity difference).
        lengths: (U,) mean length of the documents in each unit, in tokens; None where it is not
            known where documents end: no orders by length then.

    """
    learnt = losses - later_losses
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
        "most-learnable-first": np.argsort(-learnt, kind="stable"),
        "most-learnable-last": np.argsort(learnt, kind="stable"),
        "folded": folded(losses),
        "zigzag": zigzag(losses),
    }


def document_lengths(units: np.ndarray, end: int) -> np.ndarray:
    """Return the mean length (U,), in tokens, of the documents in `units` (U, S, L).

    Documents are told apart by the end-of-text token `end`. Pairs have a sequence each, of which
    padding, a given `end` (see `Corpus`), is no part.
    """
    tokens = units.reshape(len(units), -1)
    documents = units.shape[1] if (units < 0).any() else 1 + (tokens == end).sum(axis=1)
    lengths: np.ndarray = (tokens != ~end).sum(axis=1) / documents
    return lengths

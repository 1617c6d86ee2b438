"""Tokens of a run in the form of the corpus, and the files that hold arrays of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from trainorder.errors import UserError
from trainorder.storage.atomic import publish

IGNORED = -100  # the label of a token that is no target, in torch and transformers
METADATA = "record"  # the name of the entry of metadata
_LARGEST = np.iinfo(np.int32).max


def masked_tokens(
    where: str, tokens: Any, labels: Any = None, *, vocabulary: int | None = None
) -> np.ndarray:
    """Return sequences (n, L) int32, where a token t that is no target is stored as ~t.

    Args:
        where: the beginning of error messages.
        tokens: (n, L) integers, a tensor on any device or an array.
        labels: (n, L) integers, equal to `tokens` or -100 where a token is no target; None if all
            are targets. They are not shifted, as models of transformers take them.
        vocabulary: the number of tokens of the model; None if it is unknown.

    Raises:
        UserError: a shape or type is wrong, a token is negative or not in the vocabulary, or a
            label is neither its token nor -100.

    """
    sequences = host_array(tokens)
    is_integer = np.issubdtype(sequences.dtype, np.integer)
    if sequences.ndim != 2 or not is_integer or not sequences.size:
        raise UserError(
            f"{where}: tokens have shape {sequences.shape} and type {sequences.dtype}, expected "
            "integers of shape (sequences, length)"
        )
    if (least := int(sequences.min())) < 0:
        raise UserError(
            f"{where}: a token is {least}, expected 0 or more; keep the tokens as the model reads "
            f"them, and give labels with {IGNORED} where a token is no target"
        )
    check_vocabulary(where, sequences, _LARGEST if vocabulary is None else vocabulary)
    sequences = sequences.astype(np.int32)
    if labels is None:
        return sequences
    targets = host_array(labels)
    if targets.shape != sequences.shape:
        raise UserError(
            f"{where}: labels have shape {targets.shape}, but tokens {sequences.shape}; make them "
            "equal"
        )
    ignored = targets == IGNORED
    if not np.array_equal(targets[~ignored], sequences[~ignored]):
        raise UserError(
            f"{where}: a label is neither its token nor {IGNORED}; pass labels that are not shifted"
        )
    return np.where(ignored, ~sequences, sequences)


def check_vocabulary(where: str, marked: np.ndarray, vocabulary: int) -> None:
    """Check that a model has all tokens of some sequences.

    Args:
        where: the beginning of the error message.
        marked: integers of any shape, ~t for a token t that is no target.
        vocabulary: the number of tokens of the model.

    Raises:
        UserError: a token is not in the vocabulary.

    """
    largest = int(max(marked.max(), ~marked.min() if marked.min() < 0 else 0))
    if largest >= vocabulary:
        raise UserError(
            f"{where}: a token is {largest}, but the model has the tokens 0 to {vocabulary - 1}; "
            "give sequences of the tokenizer of the model"
        )


def publish_arrays(path: Path, arrays: Mapping[str, np.ndarray], metadata: str = "") -> None:
    """Publish arrays as a safetensors file with one text as metadata.

    Raises:
        UserError: the file cannot be written.

    """
    stored = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with publish(path) as private:
        try:  # several entries of metadata would be in random order
            save_file(stored, private, {METADATA: metadata})
        except SafetensorError as error:
            raise UserError(f"{path}: cannot be written: {error}") from None


def host_array(values: Any) -> np.ndarray:
    """Return an array of a tensor on any device, or of another array or list."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)

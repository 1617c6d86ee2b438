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


def masked_tokens(where: str, tokens: Any, labels: Any = None) -> np.ndarray:
    """Return sequences (n, L) int32, where a token t that is no target is stored as ~t.

    Args:
        where: the beginning of error messages.
        tokens: (n, L) integers, a tensor on any device or an array.
        labels: (n, L) integers, equal to `tokens` or -100 where a token is no target; None if all
            are targets. They are not shifted, as models of transformers take them.

    Raises:
        UserError: a shape or type is wrong, or a label is neither its token nor -100.

    """
    sequences = _host(tokens)
    if sequences.ndim != 2 or not np.issubdtype(sequences.dtype, np.integer):
        raise UserError(
            f"{where}: tokens have shape {sequences.shape} and type {sequences.dtype}, expected "
            "integers of shape (sequences, length)"
        )
    sequences = sequences.astype(np.int32)
    if labels is None:
        return sequences
    targets = _host(labels)
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


def _host(values: Any) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)

"""Which inputs of a model a study reproduces: sequences from position 0 on, padded on the right."""

from typing import Any

import numpy as np

from trainorder.errors import UserError
from trainorder.recording.record.targets import check_targets
from trainorder.recording.record.tokens import IGNORED, host_array, masked_tokens


def checked_sequences(
    where: str, tokens: Any, labels: Any, *, vocabulary: int | None, **inputs: Any
) -> np.ndarray:
    """Return sequences (n, L) int32 that a study can read as the run does, as `masked_tokens`.

    Args:
        where: the beginning of error messages.
        tokens: as in `masked_tokens`.
        labels: likewise.
        vocabulary: likewise.
        inputs: as in `check_model_inputs`.

    Raises:
        UserError: they are not valid, a sequence has no target, or the model reads them otherwise.

    """
    marked = masked_tokens(where, tokens, labels, vocabulary=vocabulary)
    check_model_inputs(where, marked, **inputs)
    check_targets(where, marked)
    return marked


def check_model_inputs(
    where: str, marked: np.ndarray, *, attention_mask: Any = None, position_ids: Any = None
) -> None:
    """Check that a model reads sequences as a study does, which passes it only the tokens.

    Args:
        where: the beginning of error messages.
        marked: sequences (n, L), ~t for a token t that is no target.
        attention_mask: (n, L), zero at padding; None: no padding.
        position_ids: (n, L), (1, L) or (L,); None: 0 to L - 1.

    Raises:
        UserError: padding is not on the right or has a target, or positions are not 0 to L - 1.

    """
    is_read = np.ones(marked.shape, bool)
    if attention_mask is not None:
        is_read = host_array(attention_mask) != 0
        _check_padding(where, marked, is_read)
    if position_ids is None:
        return
    expected, positions = np.arange(marked.shape[1]), host_array(position_ids)
    if positions.shape[-1:] != expected.shape or ((positions != expected) & is_read).any():
        raise UserError(
            f"{where}: position_ids are not 0 to {len(expected) - 1}, so a sequence is packed from "
            "several texts or padded on the left, which a study cannot reproduce; train without "
            "position_ids"
        )


def _check_padding(where: str, marked: np.ndarray, is_read: np.ndarray) -> None:
    if is_read.shape != marked.shape:
        raise UserError(
            f"{where}: attention_mask has shape {is_read.shape}, but tokens {marked.shape}; only "
            "masks of padding are supported"
        )
    if (is_read[:, 1:] > is_read[:, :-1]).any():
        raise UserError(
            f"{where}: attention_mask: padding is before tokens; pad on the right "
            "(tokenizer.padding_side), or train on sequences without padding"
        )
    if (~is_read & (marked >= 0)).any():
        raise UserError(
            f"{where}: padding is a target of the loss; give labels with {IGNORED} there"
        )

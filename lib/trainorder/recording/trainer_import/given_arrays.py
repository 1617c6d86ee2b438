"""The arrays that a user gives with an import: tokens, labels, held-out sequences and rates."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainorder.errors import UserError
from trainorder.recording.record.steps import RecordedStep, write_step
from trainorder.recording.record.tokens import masked_tokens


def read_array(path: str | Path) -> np.ndarray:
    """Return the array of a .npy file, in which no objects are read.

    Raises:
        UserError: the file is missing, or not an array of numbers.

    """
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not readable as a .npy array of numbers: {error}") from None
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: several arrays; give a .npy file of one array")
    return array


def read_steps(path: str | Path) -> np.ndarray:
    """Return the tokens (steps, micro-batches, n, L) of consecutive steps.

    An array (steps, n, L) has one micro-batch for each step.

    Raises:
        UserError: the file is not such an array.

    """
    array = read_array(path)
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or not np.issubdtype(array.dtype, np.integer) or not array.size:
        raise UserError(
            f"{path}: has shape {array.shape} and type {array.dtype}, expected integers of shape "
            "(steps, sequences, length) or (steps, micro-batches, sequences, length)"
        )
    return array


def read_labelled(path: str | Path, tokens: np.ndarray) -> np.ndarray:
    """Return `tokens` (steps, micro-batches, n, L) int32, where t that is no target is ~t.

    Args:
        path: the labels, an array like that of the tokens: equal to them, or -100 where a token is
            no target.
        tokens: from `read_steps`.

    Raises:
        UserError: the file has other labels, or the sequences of a step have different numbers of
            targets.

    """
    labels, length = read_steps(path), tokens.shape[-1]
    if labels.shape != tokens.shape:
        raise UserError(
            f"{path}: has shape {labels.shape}, but the tokens {tokens.shape}; give the labels of "
            "these tokens"
        )
    flat = masked_tokens(str(path), tokens.reshape(-1, length), labels.reshape(-1, length))
    marked = flat.reshape(tokens.shape)
    counts = (marked[..., 1:] >= 0).sum(axis=-1).reshape(len(marked), -1)
    least, most = counts.min(axis=1), counts.max(axis=1)
    if (least < most).any():
        row = int((least < most).argmax())
        raise UserError(
            f"{path}: sequences of row {row} have {least[row]} to {most[row]} targets, which the "
            "Trainer weights by token and a study by sequence; give steps with the same number in "
            "each sequence"
        )
    return marked


def read_heldout_sequences(path: str | Path, labels: str | Path | None) -> np.ndarray:
    """Return held-out sequences (n, L) int32, where a token t that is no target is ~t.

    Args:
        path: their tokens (n, L).
        labels: an array like that of the tokens: equal to them, or -100 where a token is no
            target; None: all tokens are targets.

    Raises:
        UserError: a file is not such an array.

    """
    marks = None if labels is None else read_array(labels)
    return masked_tokens(str(labels or path), read_array(path), marks)


def read_rates(path: str | Path, count: int) -> list[float]:
    """Return the learning rates of `count` steps.

    Raises:
        UserError: the file is not an array of that many positive numbers.

    """
    array = read_array(path)
    numbers = np.issubdtype(array.dtype, np.floating) and bool((array >= 0).all())
    if array.shape != (count,) or not numbers or not np.isfinite(array).all():
        raise UserError(
            f"{path}: has shape {array.shape} and type {array.dtype}, expected the learning rate "
            f"of each of the {count} steps"
        )
    return [float(rate) for rate in array]


def write_steps(record: str | Path, start: int, tokens: np.ndarray, rates: Sequence[float]) -> None:
    """Publish steps from their tokens (steps, micro-batches, n, L) and learning rates.

    Raises:
        UserError: a file cannot be written.

    """
    for number, (parts, rate) in enumerate(zip(tokens, rates, strict=True), start):
        batches = [masked_tokens("tokens", part) for part in parts]
        write_step(record, number, RecordedStep(batches, [rate], None))

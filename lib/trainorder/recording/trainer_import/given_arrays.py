"""The arrays that a user gives with an import: tokens, labels, held-out sequences and rates."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainorder.errors import UserError
from trainorder.recording.record.heldout import ONE_DOMAIN
from trainorder.recording.record.steps import RecordedStep, write_step
from trainorder.recording.record.targets import check_equal_targets, check_targets
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


def read_steps(path: str | Path, labels_path: str | Path | None, vocabulary: int) -> np.ndarray:
    """Return the sequences (steps, micro-batches, n, L) int32 of consecutive steps.

    A token t that is no target is ~t. An array (steps, n, L) has one micro-batch for each step.

    Args:
        path: their tokens.
        labels_path: an array like that of the tokens: equal to them, or -100 where a token is no
            target; None: all tokens are targets.
        vocabulary: the number of tokens of the model.

    Raises:
        UserError: a file is not such an array, a token is not in the vocabulary, a sequence has no
            target, or the sequences of a step have different numbers of targets.

    """
    tokens, labels = _read_shaped(path), None
    if labels_path is not None:
        labels = _read_shaped(labels_path)
        if labels.shape != tokens.shape:
            raise UserError(
                f"{labels_path}: has shape {labels.shape}, but the tokens {tokens.shape}; give the "
                "labels of these tokens"
            )
        labels = labels.reshape(-1, tokens.shape[-1])
    where, flat = str(labels_path or path), tokens.reshape(-1, tokens.shape[-1])
    marked = masked_tokens(where, flat, labels, vocabulary=vocabulary).reshape(tokens.shape)
    check_targets(where, marked)
    for row, step in enumerate(marked):
        check_equal_targets(f"{where}: row {row}", step)
    return marked


def _read_shaped(path: str | Path) -> np.ndarray:
    """Return integers (steps, micro-batches, n, L) of a file."""
    array = read_array(path)
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or not np.issubdtype(array.dtype, np.integer) or not array.size:
        raise UserError(
            f"{path}: has shape {array.shape} and type {array.dtype}, expected integers of shape "
            "(steps, sequences, length) or (steps, micro-batches, sequences, length)"
        )
    return array


def read_heldout_sequences(
    path: str | Path, labels: str | Path | None, vocabulary: int
) -> dict[str, np.ndarray]:
    """Return held-out sequences (n, L) of one domain for `publish_heldout`.

    Args:
        path: their tokens (n, L).
        labels: an array like that of the tokens: equal to them, or -100 where a token is no
            target; None: all tokens are targets.
        vocabulary: the number of tokens of the model.

    Raises:
        UserError: a file is not such an array.

    """
    where = str(labels or path)
    marks = None if labels is None else read_array(labels)
    marked = masked_tokens(where, read_array(path), marks, vocabulary=vocabulary)
    check_targets(where, marked)
    return {ONE_DOMAIN: marked}


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


def write_steps(record: str | Path, start: int, steps: np.ndarray, rates: Sequence[float]) -> None:
    """Publish steps from their sequences, as `read_steps` returns them, and learning rates.

    Raises:
        UserError: a file cannot be written.

    """
    for number, (batches, rate) in enumerate(zip(steps, rates, strict=True), start):
        write_step(record, number, RecordedStep(list(batches), [rate], None))

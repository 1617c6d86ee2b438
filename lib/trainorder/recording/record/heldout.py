"""The held-out sequences of a record, which orders are judged by."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.config.unit_labels import LABELS
from trainorder.errors import UserError
from trainorder.recording.record.model_inputs import checked_sequences
from trainorder.recording.record.settings import read_settings, settings_path
from trainorder.recording.record.tokens import host_array, publish_arrays
from trainorder.storage.safetensors_files import opened_safetensors

ONE_DOMAIN = "text"  # the name of the domain of sequences without one
_FILE = "heldout.safetensors"
_TOKENS, _OTHERS = "input_ids", ("labels", "attention_mask")  # columns of a data set


def heldout_path(folder: str | Path) -> Path:
    """Return the file of the held-out sequences of a record."""
    return Path(folder) / _FILE


def write_heldout(folder: str | Path, heldout: Any) -> None:
    """Publish the held-out sequences of a record; they replace those that it has.

    Args:
        folder: the record.
        heldout: sequences (n, L) as an array or a tensor; rows with `input_ids`, as a data set has
            them, or its columns (`dataset[:100]`), also with `labels` and `attention_mask`; or a
            mapping of the names of domains to such sequences.

    Raises:
        UserError: the sequences have different lengths, no targets, or tokens that the model of the
            record does not have; a domain has no valid name; or the file cannot be written.

    """
    known = read_settings(folder).vocabulary if settings_path(folder).is_file() else None
    publish_heldout(folder, heldout_arrays(heldout, known))


def heldout_arrays(heldout: Any, vocabulary: int | None) -> dict[str, np.ndarray]:
    """Return held-out sequences (n, L) int32 of each domain, ~t for a token t that is no target.

    Args:
        heldout: as in `write_heldout`.
        vocabulary: the number of tokens of the model; None if it is unknown.

    Raises:
        UserError: the sequences or names are not valid.

    """
    is_domains = isinstance(heldout, Mapping) and _TOKENS not in heldout
    domains = heldout if is_domains else {ONE_DOMAIN: heldout}
    check_domains("heldout", list(domains))
    arrays = {
        name: _sequences(f"heldout: {name}", value, vocabulary) for name, value in domains.items()
    }
    if len(shapes := {array.shape for array in arrays.values()}) > 1:
        raise UserError(
            f"heldout: domains have sequences of the shapes {sorted(shapes)}; give all of them the "
            "same number of sequences of the same length"
        )
    return arrays


def publish_heldout(folder: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Publish held-out sequences of `heldout_arrays` as those of a record.

    Raises:
        UserError: the file cannot be written.

    """
    publish_arrays(heldout_path(folder), arrays)


def check_domains(where: str, names: Sequence[Any]) -> None:
    """Check the names of the domains of held-out sequences.

    Raises:
        UserError: there is none, one is no text, or one is the label of units without a domain.

    """
    if not names:
        raise UserError(f"{where}: no domains; give at least one")
    for name in names:
        if not isinstance(name, str) or not name:
            raise UserError(f"{where}: the domain {name!r} has no name; give a text as its name")
        if name in LABELS:
            raise UserError(f"{where}: `{name}` is the label of {name} units; rename this domain")


def check_length(where: str, sequences: np.ndarray, length: int) -> None:
    """Check that held-out sequences (n, L) have the length of those of the run.

    Raises:
        UserError: they have another one.

    """
    if sequences.shape[1] != length:
        raise UserError(
            f"{where}: sequences have {sequences.shape[1]} tokens, but those of the run {length}; "
            "write held-out sequences of this length"
        )


def read_heldout(folder: str | Path) -> dict[str, np.ndarray]:
    """Return the held-out sequences (n, L) int32 of each domain, sorted by name.

    Raises:
        UserError: the record has none, or the file is damaged.

    """
    path = heldout_path(folder)
    if not path.is_file():
        raise UserError(
            f"{path}: missing, so orders cannot be judged; add held-out sequences with "
            "trainorder.recording.write_heldout(FOLDER, SEQUENCES)"
        )
    with opened_safetensors(path, "numpy") as file:
        return {name: file.get_tensor(name) for name in sorted(file.keys())}


def _sequences(where: str, value: Any, vocabulary: int | None) -> np.ndarray:
    """Return sequences (n, L) int32 with marked tokens."""
    columns = _columns(where, value)
    tokens = _array(where, columns[_TOKENS])
    labels, mask = (
        None if columns.get(key) is None else _array(where, columns[key]) for key in _OTHERS
    )
    return checked_sequences(where, tokens, labels, vocabulary=vocabulary, attention_mask=mask)


def _columns(where: str, value: Any) -> Mapping[str, Any]:
    """Return the columns of a data set, of its rows, or of sequences without further columns."""
    if isinstance(value, Mapping) and _TOKENS in value:
        return value
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return {_TOKENS: value}
    try:
        rows = [value[i] for i in range(len(value))]
    except (KeyError, TypeError):
        raise UserError(
            f"{where}: {type(value).__name__} is not a list of sequences; give an array "
            "(sequences, length) or rows with `input_ids`"
        ) from None
    if not rows or not all(isinstance(row, Mapping) and _TOKENS in row for row in rows):
        return {_TOKENS: rows}
    keys = [key for key in (_TOKENS, *_OTHERS) if all(key in row for row in rows)]
    return {key: [row[key] for row in rows] for key in keys}


def _array(where: str, rows: Any) -> np.ndarray:
    if hasattr(rows, "shape") and hasattr(rows, "dtype"):
        return host_array(rows)
    try:
        return np.array([host_array(row) for row in rows])
    except (TypeError, ValueError):
        raise UserError(
            f"{where}: sequences have different lengths; cut or pad them to one length"
        ) from None

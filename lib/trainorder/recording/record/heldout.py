"""The held-out sequences of a record, which orders are judged by."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.errors import UserError
from trainorder.recording.record.tokens import masked_tokens, publish_arrays
from trainorder.storage.safetensors_files import opened_safetensors

ONE_DOMAIN = "text"  # the name of the domain of sequences without one
_FILE = "heldout.safetensors"


def heldout_path(folder: str | Path) -> Path:
    """Return the file of the held-out sequences of a record."""
    return Path(folder) / _FILE


def write_heldout(folder: str | Path, heldout: Any) -> None:
    """Publish the held-out sequences of a record; they replace those that it has.

    Args:
        folder: the record.
        heldout: sequences (n, L) as an array or a tensor, or rows with `input_ids` (and `labels`)
            as a data set has them; or a mapping of the names of domains to such sequences.

    Raises:
        UserError: the sequences have different lengths, or the file cannot be written.

    """
    domains = heldout if isinstance(heldout, Mapping) else {ONE_DOMAIN: heldout}
    arrays = {name: _sequences(name, value) for name, value in domains.items()}
    if not arrays:
        raise UserError("heldout: no domains; give at least one")
    if len(shapes := {array.shape for array in arrays.values()}) > 1:
        raise UserError(
            f"heldout: domains have sequences of the shapes {sorted(shapes)}; give all of them the "
            "same number of sequences of the same length"
        )
    publish_arrays(heldout_path(folder), arrays)


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


def _sequences(name: str, value: Any) -> np.ndarray:
    """Return sequences (n, L) int32 with marked tokens."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return masked_tokens(f"heldout: {name}", value)
    rows: Sequence[Any] = [value[i] for i in range(len(value))]
    if not rows or not all(isinstance(row, Mapping) and "input_ids" in row for row in rows):
        return masked_tokens(f"heldout: {name}", _array(name, rows))
    tokens = _array(name, [row["input_ids"] for row in rows])
    labels = _array(name, [row["labels"] for row in rows]) if "labels" in rows[0] else None
    return masked_tokens(f"heldout: {name}", tokens, labels)


def _array(name: str, rows: Sequence[Any]) -> np.ndarray:
    try:
        return np.array([np.asarray(row) for row in rows])
    except ValueError:
        raise UserError(
            f"heldout: {name}: sequences have different lengths; cut or pad them to one length"
        ) from None

"""A user's orders as plain numbers: numpy arrays, lists, and tables without column names.

One array or list holds one order: a flat schedule, or one row for each step. It holds several
orders if each row fills the window, or if it has three axes. Orders are named after their file.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from trainorder.config.sections.window import WindowConfig
from trainorder.errors import UserError

ARRAY_SUFFIXES = (".npy", ".npz")
_HEADER = b"\x93NUMPY"  # the first bytes of the .npy format


def array_entries(path: str | Path, window: WindowConfig | None) -> list[dict[str, Any]]:
    """Return the orders of a `.npy` or `.npz` file as the JSON format has them.

    Args:
        path: the file. Each array of a `.npz` file is named by its key.
        window: tells one order of several rows from several orders; without it, an array of two
            axes is one order.

    Raises:
        UserError: the file cannot be read, or an array is empty or does not consist of integers.

    """
    stem = Path(path).stem
    entries = []
    for key, values in _arrays(path).items():
        where = f"{path}: array {key!r}" if key else str(path)
        if not np.issubdtype(values.dtype, np.integer):
            raise UserError(
                f"{where}: has dtype {values.dtype}; expected unit indices, convert them to int64"
            )
        if not values.size:
            shape = " x ".join(map(str, values.shape))
            raise UserError(f"{where}: no orders, as its shape is {shape}; write unit indices")
        if window is not None:
            _check_length(where, values, window)
        entries += number_entries(key or stem, values, window)
    return entries


def number_entries(
    name: str, values: np.ndarray, window: WindowConfig | None
) -> list[dict[str, Any]]:
    """Return the orders in an array of numbers, each with a `name` and a `schedule`."""
    if values.ndim == 2 and values.shape[1] == 1:  # a column of a table
        values = values[:, 0]
    if values.ndim == 3 or (window is not None and _is_several(values, window)):
        names = [name] if len(values) == 1 else [f"{name}-{i}" for i in range(len(values))]
        return [{"name": n, "schedule": row} for n, row in zip(names, values, strict=True)]
    return [{"name": name, "schedule": values}]


def list_of_numbers(content: Any) -> np.ndarray | None:
    """Return the array of a nested list of numbers; None if `content` is something else.

    Raises:
        ValueError: its rows have different lengths.

    """
    first = content[0] if isinstance(content, list) and content else None
    if not isinstance(first, int | float | list) or isinstance(first, bool):
        return None
    if any(isinstance(value, bool) for value in np.array(content, object).flat):
        return np.array(content, object)  # numpy would turn true into 1
    return np.array(content)


def _is_several(values: np.ndarray, window: WindowConfig) -> bool:
    places = window.steps * window.units_per_step
    one = (window.steps, window.units_per_step)
    return values.ndim == 2 and values.shape != one and values.shape[1] == places


def _check_length(where: str, values: np.ndarray, window: WindowConfig) -> None:
    """Raise `UserError` for the array of a whole run, of which the window is a part."""
    places = window.steps * window.units_per_step
    if values.ndim == 1 and len(values) > places:
        raise UserError(
            f"{where}: {len(values)} places, but the window has {places}; store the part that the "
            "window consumes, with its units numbered from 0, as docs/orders.md shows"
        )


def _arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name; the name of a lone array is empty."""
    try:
        with open(path, "rb") as handle:
            start = handle.read(len(_HEADER))
        if start != _HEADER and not zipfile.is_zipfile(path):
            raise UserError(
                f"{path}: has no header of the .npy format; if it is a raw array, read it with "
                "np.memmap and write it with np.save"
            )
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        with loaded:
            arrays = {key: loaded[key] for key in loaded.files}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not readable as an array: {error}") from None
    if not arrays:
        raise UserError(f"{path}: no arrays; expected an array of unit indices for each order")
    return {"": arrays["arr_0"]} if list(arrays) == ["arr_0"] else arrays

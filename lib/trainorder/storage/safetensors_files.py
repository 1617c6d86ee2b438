"""Safetensors files of the user's own: numbers and names, and no code."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from trainorder.errors import UserError


@contextmanager
def opened_safetensors(path: str | Path, framework: str) -> Iterator[Any]:
    """Open a file whose tensors are to be read as those of `framework`, `numpy` or `pt`.

    Raises:
        UserError: missing, or not safetensors.

    """
    try:
        file = safe_open(path, framework=framework)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: not readable as safetensors: {error}") from None
    with file:
        yield file

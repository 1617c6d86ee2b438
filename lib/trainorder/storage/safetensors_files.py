"""Read safetensors files that the user provides. The format contains no code, unlike pickle."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from trainorder.errors import UserError


@contextmanager
def opened_safetensors(path: str | Path, framework: str) -> Iterator[Any]:
    """Open a safetensors file for reading.

    Args:
        path: the file.
        framework: the type of the returned tensors, `numpy` or `pt` (torch).

    Raises:
        UserError: the file is missing or is not a safetensors file.

    """
    try:
        file = safe_open(path, framework=framework)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: not readable as safetensors: {error}") from None
    with file:
        yield file

"""Write arrays of tokens of a record; torch is not imported, as readers share these modules."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from trainorder.errors import UserError
from trainorder.storage.atomic import publish

METADATA = "record"  # the name of the entry of metadata


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

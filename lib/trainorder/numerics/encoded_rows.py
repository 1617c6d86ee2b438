"""Encoded vectors in a file: bytes, half-bytes and scaled float16, each with its scales."""

from collections.abc import Callable

import h5py
import torch
from torch import Tensor

from trainorder.numerics.quantize import (
    FEW_LEVELS,
    dequantized,
    packed,
    quantized,
    unpacked,
)
from trainorder.numerics.rows import Rows
from trainorder.storage.sealed_hdf5 import create_rows

Encode = Callable[[Tensor], tuple[Tensor, Tensor]]


def to_half_bytes(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return `rows` (n, P) as half-bytes, (n, ceil(P / 2)) uint8, and their scales (n, blocks)."""
    codes, scale = quantized(rows, FEW_LEVELS)
    return packed(codes), scale


def from_half_bytes(size: int, pairs: Tensor, scale: Tensor) -> Tensor:
    """Return the rows (n, `size`) from the results of `to_half_bytes`."""
    return dequantized(unpacked(pairs, size), scale)


class EncodedRows:
    """A new dataset of encoded vectors, and one of their scales; both are written row by row."""

    def __init__(self, file: h5py.File, name: str, like: Tensor, encode: Encode) -> None:
        """Add the datasets to a file.

        Args:
            file: the file.
            name: of the dataset of codes; that of the scales is `<name>_scale`.
            like: (n, P) the shape and the dtype of the vectors; no number of it is read.
            encode: maps rows (m, P) to codes and scales.

        """
        self._encode = encode
        self._datasets = [
            create_rows(file, part, (len(like), *codes.shape[1:]), codes.numpy().dtype.str)
            for part, codes in zip((name, f"{name}_scale"), encode(like[:0]), strict=True)
        ]

    def __setitem__(self, place: int, row: Tensor) -> None:
        """Write a vector (P,)."""
        for dataset, part in zip(self._datasets, self._encode(row[None]), strict=True):
            dataset[place] = part[0].numpy()


def write_encoded(file: h5py.File, name: str, rows: Rows, encode: Encode) -> None:
    """Add `rows` (n, P), encoded one at a time, as dataset `name`, and their scales."""
    encoded = EncodedRows(file, name, rows.tensor, encode)
    for place, row in enumerate(rows):
        encoded[place] = row


def read_encoded(
    file: h5py.File,
    name: str,
    rows: Rows,
    decode: Callable[[Tensor, Tensor], Tensor],
    first: int = 0,
) -> None:
    """Read encoded vectors, from number `first` on, into `rows` (n, P), one at a time.

    If fewer than n vectors follow, only the first of `rows` are overwritten.
    """
    codes, scales = file[name], file[f"{name}_scale"]
    for place in range(min(len(rows), len(codes) - first)):
        here = slice(first + place, first + place + 1)
        rows[place] = decode(*(torch.from_numpy(part[here]) for part in (codes, scales)))[0]

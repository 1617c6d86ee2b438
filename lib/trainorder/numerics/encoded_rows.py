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


def write_encoded(file: h5py.File, name: str, rows: Rows, encode: Encode) -> None:
    """Add `rows` (n, P), encoded one at a time, as dataset `name`, and their scales."""
    datasets = [
        create_rows(file, part, (len(rows), *like.shape[1:]), like.numpy().dtype.str)
        for part, like in zip((name, f"{name}_scale"), encode(rows[:0].tensor), strict=True)
    ]
    for i, row in enumerate(rows):
        for dataset, part in zip(datasets, encode(row[None]), strict=True):
            dataset[i] = part[0].numpy()


def read_encoded(
    file: h5py.File, name: str, rows: Rows, decode: Callable[[Tensor, Tensor], Tensor]
) -> None:
    """Read what `write_encoded` added into the first of `rows` (n, P), one at a time."""
    codes, scales = file[name], file[f"{name}_scale"]
    for i in range(len(codes)):
        part = (torch.from_numpy(dataset[i : i + 1]) for dataset in (codes, scales))
        rows[i] = decode(*part)[0]

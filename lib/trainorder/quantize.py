"""Storage of vectors in fewer bytes: blocks of signed bytes, and scaled half precision."""

import torch
from torch import Tensor

BLOCK = 256  # numbers that share a scale: 4 bytes in 256, and an outlier spoils only its own block
LEVELS = 127
_LARGEST = 1024.0  # of a scaled half: far from the ends of its range on both sides


def quantized(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the codes (U, P) and the scales (U, blocks) of rows (U, P)."""
    blocks = _blocks(rows)
    scale = blocks.abs().amax(-1) / LEVELS
    code = (blocks / scale.where(scale > 0, 1.0)[..., None]).round()
    return code.flatten(1)[:, : rows.shape[1]].to(torch.int8), scale


def dequantized(code: Tensor, scale: Tensor) -> Tensor:
    """Return the rows (U, P) that codes and scales stand for."""
    blocks = _blocks(code.to(scale.dtype)) * scale[..., None]
    return blocks.flatten(1)[:, : code.shape[1]]


def _blocks(rows: Tensor) -> Tensor:
    """Return rows (U, P) as (U, blocks, BLOCK), the last block filled up with zeros."""
    padded = torch.nn.functional.pad(rows, (0, -rows.shape[1] % BLOCK))
    blocks: Tensor = padded.unflatten(1, (-1, BLOCK))
    return blocks


def halved(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return `rows` (r, P) as float16, each divided by its scale (r,); relative error 2^-11."""
    scale = rows.abs().amax(-1) / _LARGEST
    scale = scale.where(scale > 0, 1.0)
    return (rows / scale[:, None]).half(), scale


def unhalved(values: Tensor, scale: Tensor) -> Tensor:
    """Return the rows (r, P) that halves and scales stand for."""
    return values.to(scale.dtype) * scale[:, None]

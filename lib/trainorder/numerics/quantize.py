"""Storage of vectors in fewer bytes: signed bytes and half-bytes in blocks, and scaled halves."""

import torch
from torch import Tensor

BLOCK = 256  # numbers that share a scale: 4 bytes in 256, and an outlier spoils only its own block
LEVELS = 127  # of a byte
FEW_LEVELS = 7  # of half a byte
_LARGEST = 1024.0  # of a scaled half: far from the ends of its range on both sides


def quantized(rows: Tensor, levels: int = LEVELS) -> tuple[Tensor, Tensor]:
    """Return the codes (U, P), at most `levels` each way, and the scales (U, blocks) of rows."""
    blocks = _blocks(rows)
    scale = blocks.abs().amax(-1) / levels
    code = (blocks / scale.where(scale > 0, 1.0)[..., None]).round()
    return code.flatten(1)[:, : rows.shape[1]].to(torch.int8), scale


def dequantized(code: Tensor, scale: Tensor) -> Tensor:
    """Return the rows (U, P) that codes and scales stand for."""
    blocks = _blocks(code.to(scale.dtype)) * scale[..., None]
    return blocks.flatten(1)[:, : code.shape[1]]


def packed(code: Tensor) -> Tensor:
    """Return codes (U, P) of at most `FEW_LEVELS` two to a byte, (U, ceil(P / 2)) uint8."""
    shifted = torch.nn.functional.pad(code + 8, (0, code.shape[1] % 2)).to(torch.uint8)
    return shifted[:, ::2] | (shifted[:, 1::2] << 4)


def unpacked(pairs: Tensor, size: int) -> Tensor:
    """Return the codes (U, `size`) int8 that were packed."""
    return (torch.stack([pairs & 15, pairs >> 4], -1).flatten(1)[:, :size].to(torch.int8)) - 8


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

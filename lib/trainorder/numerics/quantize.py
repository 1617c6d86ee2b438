"""Compressed storage of vectors: 8-bit and 4-bit codes in blocks, and scaled float16."""

import torch
from torch import Tensor

from trainorder.numerics.large_tensors import release_pages

# Numbers that share a scale. The scale adds 4 bytes to 256 codes, and an outlier costs precision
# only in its own block.
BLOCK = 256
LEVELS = 127  # largest 8-bit code
FEW_LEVELS = 7  # largest 4-bit code
_COLUMNS = 2**20  # that are encoded at once, whole blocks: so a long row needs little memory
_LARGEST = 1024.0  # largest scaled float16; far from overflow and from subnormal numbers


def quantized(rows: Tensor, levels: int = LEVELS) -> tuple[Tensor, Tensor]:
    """Return the codes and the scales of `rows` (U, P); a code has an error of at most 1/2.

    Returns:
        Codes (U, P) int8 in [-levels, levels], and scales (U, blocks) in the dtype of `rows`.

    """
    parts = []
    for part in rows.split(_COLUMNS, dim=1):
        parts.append(_quantized(part, levels))
        release_pages()
    codes, scales = zip(*parts, strict=True)
    return torch.cat(codes, 1), torch.cat(scales, 1)


def _quantized(rows: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    blocks = _blocks(rows)
    scale = blocks.abs().amax(-1) / levels
    code = (blocks / scale.where(scale > 0, 1.0)[..., None]).round()
    return code.flatten(1)[:, : rows.shape[1]].to(torch.int8), scale


def dequantized(code: Tensor, scale: Tensor) -> Tensor:
    """Return the rows (U, P), in the dtype of `scale`, for codes (U, P) and scales (U, blocks)."""
    blocks = _blocks(code.to(scale.dtype)) * scale[..., None]
    return blocks.flatten(1)[:, : code.shape[1]]


def packed(code: Tensor) -> Tensor:
    """Return 4-bit codes (U, P) packed two per byte, (U, ceil(P / 2)) uint8."""
    shifted = torch.nn.functional.pad(code + 8, (0, code.shape[1] % 2)).to(torch.uint8)
    return shifted[:, ::2] | (shifted[:, 1::2] << 4)


def unpacked(pairs: Tensor, size: int) -> Tensor:
    """Return the codes (U, `size`) int8 from `pairs`, the result of `packed`."""
    return (torch.stack([pairs & 15, pairs >> 4], -1).flatten(1)[:, :size].to(torch.int8)) - 8


def _blocks(rows: Tensor) -> Tensor:
    """Return `rows` (U, P) as (U, blocks, BLOCK), with the last block padded with zeros."""
    padded = torch.nn.functional.pad(rows, (0, -rows.shape[1] % BLOCK))
    blocks: Tensor = padded.unflatten(1, (-1, BLOCK))
    return blocks


def halved(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return `rows` (r, P) divided by their scales, in float16, and the scales (r,).

    The relative error is at most 2^-11.
    """
    scale = rows.abs().amax(-1) / _LARGEST
    scale = scale.where(scale > 0, 1.0)
    return (rows / scale[:, None]).half(), scale


def unhalved(values: Tensor, scale: Tensor) -> Tensor:
    """Return the rows (r, P), in the dtype of `scale`, from the results of `halved`."""
    return values.to(scale.dtype) * scale[:, None]

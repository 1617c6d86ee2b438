"""`int8`: whole numbers of one byte, with a scale for each block of parameters."""

import torch
from torch import Tensor

from trainorder.stores.base import Arrays, Codec, Dense

BLOCK = 256  # numbers that share a scale: 4 bytes in 256, and an outlier spoils only its own block
LEVELS = 127


class Int8(Codec):
    """g ~ s q with whole q in -127 .. 127 and s = max |g| / 127 over each block of 256 entries.

    Symmetric, linear, block-wise (as in Dettmers et al. 2022, without their non-linear code). The
    error of an entry is at most s / 2; entries far below their block's largest become 0.
    """

    name = "int8"

    @property
    def size(self) -> str:
        """Bits of a number."""
        return "8 bits"

    def encode(self, table: Dense) -> Arrays:
        """Keep bytes (T, U, P) and scales (T, U, blocks)."""
        codes, scales = zip(*(quantized(rows) for rows in table.gradient), strict=True)
        return {"code": torch.stack(codes), "scale": torch.stack(scales)}

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return s q."""
        return dequantized(arrays["code"][t], arrays["scale"][t])


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

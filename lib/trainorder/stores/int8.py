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
        """Keep codes (T, U, blocks, BLOCK), scales (T, U, blocks) and P."""
        steps, units, size = table.gradient.shape
        blocks = -(-size // BLOCK)
        code = torch.empty(steps, units, blocks, BLOCK, dtype=torch.int8)
        scale = table.gradient.new_empty(steps, units, blocks)
        for t, rows in enumerate(table.gradient):
            code[t], scale[t] = quantized(rows)
        return {"code": code, "scale": scale, "size": torch.tensor(size)}

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return s q."""
        return dequantized(arrays["code"][t], arrays["scale"][t], int(arrays["size"]))


def quantized(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return codes (n, blocks, BLOCK) and scales (n, blocks) of rows (n, P).

    The last block is filled up with zeros.
    """
    padded = torch.nn.functional.pad(rows, (0, -rows.shape[1] % BLOCK))
    blocks = padded.unflatten(1, (-1, BLOCK))
    scale = blocks.abs().amax(-1) / LEVELS
    code = (blocks / scale.where(scale > 0, 1.0)[..., None]).round()
    return code.to(torch.int8), scale


def dequantized(code: Tensor, scale: Tensor, size: int) -> Tensor:
    """Return the rows (n, `size`) that codes and scales stand for."""
    return (code.to(scale.dtype) * scale[..., None]).flatten(1)[:, :size]

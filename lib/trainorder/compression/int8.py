"""`int8`: integers of one byte, with a scale for each block of parameters."""

import torch
from torch import Tensor

from trainorder.compression.codec import Arrays, Codec, DenseTable
from trainorder.numerics.quantize import BLOCK, dequantized, quantized


class Int8(Codec):
    """g ~ s q with integers q in -127 .. 127 and s = max |g| / 127 over each block of 256 entries.

    Symmetric, linear, block-wise quantization (Dettmers et al. 2022, arXiv 2110.02861, without the
    non-linear code). The error of an entry is at most s / 2; entries far below the largest of their
    block become 0.
    """

    name = "int8"

    @property
    def size(self) -> str:
        """Bits of a number."""
        return "8 bits"

    def encode(self, table: DenseTable) -> Arrays:
        """Keep codes (T, U, P) and scales (T, U, blocks)."""
        steps, units, size = table.gradient.shape
        code = torch.empty(steps, units, size, dtype=torch.int8)
        scale = table.gradient.new_empty(steps, units, -(-size // BLOCK))
        for t, rows in enumerate(table.gradient):
            code[t], scale[t] = quantized(rows)
        return {"code": code, "scale": scale}

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return s q."""
        return dequantized(arrays["code"][t], arrays["scale"][t])

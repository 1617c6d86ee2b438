"""`float16`: half precision; each gradient is scaled by its largest entry."""

import torch
from torch import Tensor

from trainorder.compression.codec import Arrays, Codec, DenseTable


class Float16(Codec):
    """g ~ s h with s = max |g| and h in half precision.

    Without the scale, entries of gradients (1e-3 to 1e-8) would be subnormal half-precision
    numbers, which lose digits below 6e-5. With it, entries down to 6e-5 of the largest have a
    relative error of at most 2^-11.
    """

    name = "float16"

    @property
    def size(self) -> str:
        """Bits of a number."""
        return "16 bits"

    def encode(self, table: DenseTable) -> Arrays:
        """Keep the half-precision numbers h (T, U, P) and the scales s (T, U, 1)."""
        gradient = table.gradient
        scale = torch.stack([rows.abs().amax(-1, keepdim=True) for rows in gradient])
        scale[scale == 0] = 1
        half = torch.empty_like(gradient, dtype=torch.float16)
        for t, rows in enumerate(gradient):
            half[t] = rows / scale[t]
        return {"half": half, "scale": scale}

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return s h."""
        return arrays["half"][t].to(arrays["scale"].dtype) * arrays["scale"][t]

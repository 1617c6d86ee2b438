"""`..., int8`: the factors of another codec, with the large factor quantized to one byte."""

from functools import lru_cache

from torch import Tensor

from trainorder.compression.codec import Arrays, Codec, DenseTable
from trainorder.compression.factored import Factored
from trainorder.numerics.quantize import dequantized, quantized


class FactoredInt8(Codec):
    """A ~ L (s q), with the rows of R quantized block by block to s q as in `Int8`.

    This is four times smaller than the factors. L is small compared to R and is kept as it is. The
    rows of R are orthogonal and the rounding errors of their entries nearly independent, so that
    these add little to the error of the truncation.
    """

    def __init__(self, inner: Factored) -> None:
        """Set the codec that computes the factors."""
        self.inner = inner
        self.name = f"{inner.name}, int8"
        self.passes = inner.passes

    @property
    def size(self) -> str:
        """The rank."""
        return self.inner.size

    def encode(self, table: DenseTable) -> Arrays:
        """Keep L, and R as codes (r, P) and scales (r, blocks)."""
        arrays = self.inner.encode(table)
        code, scale = quantized(arrays["right"])
        return {"left": arrays["left"], "code": code, "scale": scale}

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return L_t (s q)."""
        return arrays["left"][t] @ restored(arrays["code"], arrays["scale"])

    def streaming_bytes(self, arrays: Arrays) -> int | None:
        """Return the bytes that the inner codec holds while the table passes by."""
        return self.inner.streaming_bytes({"left": arrays["left"], "right": arrays["code"]})


# A tensor is its own cache key, so R is restored once for all steps of a compressed table.
restored = lru_cache(maxsize=1)(dequantized)

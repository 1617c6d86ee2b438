"""Stores of low rank: the table's matrix as a product of two thin ones."""

from functools import lru_cache

import torch
from torch import Tensor

from trainorder.compression.codec import Arrays, Codec, Dense
from trainorder.numerics.quantize import dequantized, quantized


class Factored(Codec):
    """A ~ L R for the matrix A (T U, P) of the table, with L (T U, r) and R (r, P).

    A subclass says where the factors come from.
    """

    def __init__(self, rank: int) -> None:
        """Keep factors of that rank."""
        self.rank = rank

    @property
    def size(self) -> str:
        """The rank."""
        return f"rank {self.rank}"

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Multiply the rows of one step."""
        return arrays["left"][t] @ arrays["right"]


class LowRank(Factored):
    """The truncated singular value decomposition: no L R of that rank is nearer to A.

    (Eckart and Young 1936.) The left singular vectors are the eigenvectors of A A^T, which is
    small; R = L^T A. Squaring A loses directions below 3e-4 of the largest in float32, far below
    what is truncated.
    """

    name = "low-rank"
    passes = 2

    def encode(self, table: Dense) -> Arrays:
        """Keep the leading left singular vectors and their products with the table."""
        _, vectors = torch.linalg.eigh(table.gram)
        left = vectors[:, -self.rank :].flip(1).to(table.gradient.dtype)
        return {"left": by_step(left, table), "right": left.T @ table.matrix}


class FactoredInt8(Codec):
    """Another codec's factors, with the rows of R kept as bytes: four times smaller again.

    L is small beside R and stays as it is. The rows of R are orthogonal and the rounding errors of
    their entries nearly independent, so that these add little to what the rank leaves out.
    """

    def __init__(self, inner: Factored) -> None:
        """Keep the factors that `inner` makes."""
        self.inner = inner
        self.name = f"{inner.name}, int8"
        self.passes = inner.passes

    @property
    def size(self) -> str:
        """The rank."""
        return self.inner.size

    def encode(self, table: Dense) -> Arrays:
        """Keep L, and R as codes (r, P) and scales (r, blocks)."""
        arrays = self.inner.encode(table)
        code, scale = quantized(arrays["right"])
        return {"left": arrays["left"], "code": code, "scale": scale}

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Multiply the rows of one step."""
        return arrays["left"][t] @ restored(arrays["code"], arrays["scale"])

    def streaming_bytes(self, arrays: Arrays) -> int | None:
        """Return what the inner codec holds while the table passes by."""
        return self.inner.streaming_bytes({"left": arrays["left"], "right": arrays["code"]})


# Tensors are told apart by identity: R is restored once for all the steps of a store.
restored = lru_cache(maxsize=1)(dequantized)


def by_step(left: Tensor, table: Dense) -> Tensor:
    """Return the left factor (T U, r) as (T, U, r)."""
    rows: Tensor = left.unflatten(0, table.gradient.shape[:2]).contiguous()
    return rows

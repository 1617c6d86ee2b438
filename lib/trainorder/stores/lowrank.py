"""Stores of low rank: the table's matrix as a product of two thin ones."""

import torch
from torch import Tensor

from trainorder.stores.base import Arrays, Codec, Dense


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


def by_step(left: Tensor, table: Dense) -> Tensor:
    """Return the left factor (T U, r) as (T, U, r)."""
    rows: Tensor = left.unflatten(0, table.gradient.shape[:2]).contiguous()
    return rows

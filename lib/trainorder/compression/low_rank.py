"""`low-rank`: the truncated singular value decomposition of the table."""

import torch

from trainorder.compression.codec import Arrays, DenseTable
from trainorder.compression.factored import Factored, by_step


class LowRank(Factored):
    """A ~ L L^T A, with L the leading r eigenvectors of A A^T: the best approximation of rank r.

    Eckart and Young 1936. A A^T (T U, T U) is small. Squaring A in float32 loses directions below
    3e-4 of the largest, which are far below what is truncated.
    """

    name = "low-rank"
    passes = 2

    def encode(self, table: DenseTable) -> Arrays:
        """Keep L and R = L^T A."""
        _, vectors = torch.linalg.eigh(table.gram)
        left = vectors[:, -self.rank :].flip(1).to(table.gradient.dtype)
        return {"left": by_step(left, table), "right": left.T @ table.matrix}

"""Sparse Johnson-Lindenstrauss projection."""

import torch
from torch import Tensor

from trainorder.numerics.large_tensors import release_pages

_BLOCK = 2**20  # columns per block
SEED = 20250522  # every file of every study uses this projection: sketches can be subtracted


class SparseJL:
    """CountSketch S (k, P): each column has one entry, +1 or -1, in a random row.

    E |S x|^2 = |x|^2, and for a fixed x the relative standard deviation of |S x|^2 is at most
    sqrt(2 / k) (Charikar, Chen and Farach-Colton 2002; Kane and Nelson 2014). The sketch is linear,
    so that sketches of trajectories can be subtracted. It preserves inner products and distances,
    but not single entries.
    """

    def __init__(self, size: int, rows: int, seed: int = SEED) -> None:
        """Draw the projection from R^`size` to R^`rows`."""
        generator = torch.Generator().manual_seed(seed)
        self.rows = rows
        self._row = torch.empty(size, dtype=torch.int16 if rows <= 2**15 else torch.int32)
        self._sign = torch.empty(size, dtype=torch.int8)
        # Block by block: torch draws numbers of 8 bytes. They do not depend on the blocks.
        for block in self._row.split(_BLOCK):
            block.copy_(torch.randint(rows, (len(block),), generator=generator))
        for block in self._sign.split(_BLOCK):
            block.copy_(torch.randint(2, (len(block),), generator=generator).mul_(2).sub_(1))

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return the sketches (..., k) of `vectors` (..., P), in the dtype of `vectors`."""
        result = vectors.new_zeros(*vectors.shape[:-1], self.rows)
        blocks = (tensor.split(_BLOCK, -1) for tensor in (vectors.detach(), self._row, self._sign))
        for block, row, sign in zip(*blocks, strict=True):
            result.index_add_(-1, row.int(), block * sign.to(vectors.dtype))
            release_pages()
        return result

    def transposed(self, sketches: Tensor) -> Tensor:
        """Return S^T y (..., P) for sketches y (..., k).

        E S^T S x = x, but the error of S^T S x is typically larger than |x|.
        """
        return sketches[..., self._row.int()] * self._sign.to(sketches.dtype)

    @property
    def counts(self) -> Tensor:
        """The number of entries in each row, (k,): the diagonal of S S^T."""
        return torch.bincount(self._row.int(), minlength=self.rows)

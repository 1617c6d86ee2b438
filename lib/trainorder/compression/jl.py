"""`jl`: random Gaussian projections, dense within blocks of parameters."""

from functools import lru_cache

import torch
from torch import Tensor

from trainorder.compression.codec import Arrays, Codec, DenseTable, seed_array

BLOCK = 1024  # parameters projected together
SEED = 20250522
TRANSPOSE, LEAST_SQUARES = "transpose", "least squares"


class JL(Codec):
    """y_b = S_b g_b for each block b of 1024 parameters, S_b Gaussian with entries N(0, 1 / k_b).

    Johnson and Lindenstrauss 1984: E <Sx, Sy> = <x, y>. A single S of P / 32 rows would have
    P^2 / 32 entries (7e10 for 1.5 million parameters); blocks of 1024 need P 1024 / 32, and
    preserve inner products as well if no block has most of the norm.

    A projection cannot be inverted. Two estimates of x from y = S x are compared:

    * the transpose S^T y, unbiased, with E |S^T S x - x|^2 = (n + 1) / k |x|^2;
    * least squares S^T (S S^T)^-1 y, the shortest vector with this sketch: the projection of x onto
      k random directions, with |x' - x|^2 ~ (1 - k / n) |x|^2.
    """

    name = "jl"

    def __init__(self, ratio: int, read: str) -> None:
        """Keep one number of every `ratio`; recover with `TRANSPOSE` or `LEAST_SQUARES`."""
        self.rows = max(1, BLOCK // ratio)
        self.read = read

    @property
    def size(self) -> str:
        """Rows of the projection."""
        return f"{self.rows} of {BLOCK} rows"

    def encode(self, table: DenseTable) -> Arrays:
        """Keep the sketches (T, U, blocks, k_b) and the seed of S."""
        units, size = table.gradient.shape[1:]
        matrices = projections(-(-size // BLOCK), self.rows, SEED, table.gradient.dtype)
        sketch = table.gradient.new_empty(len(table.gradient), units, *matrices.shape[:2])
        for t, rows in enumerate(table.gradient):
            padded = torch.nn.functional.pad(rows, (0, -size % BLOCK)).unflatten(1, (-1, BLOCK))
            sketch[t] = torch.bmm(padded.transpose(0, 1), matrices.mT).transpose(0, 1)
        return {"sketch": sketch, "seed": seed_array(SEED), "size": torch.tensor(size)}

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return S^T y, or S^T (S S^T)^-1 y."""
        sketch = arrays["sketch"][t].transpose(0, 1)
        blocks, seed = len(sketch), int(arrays["seed"])
        back = (inverses if self.read == LEAST_SQUARES else projections)(
            blocks, self.rows, seed, sketch.dtype
        )
        return torch.bmm(sketch, back).transpose(0, 1).flatten(1)[:, : int(arrays["size"])]

    def features(self, arrays: Arrays, t: int) -> Tensor:
        """Return the sketches: a projection preserves inner products."""
        return arrays["sketch"][t].flatten(1)


@lru_cache(maxsize=1)
def projections(blocks: int, rows: int, seed: int, dtype: torch.dtype) -> Tensor:
    """Return S_b of every block, (blocks, k_b, BLOCK)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(blocks, rows, BLOCK, generator=generator, dtype=dtype)
    return drawn.div_(rows**0.5)


@lru_cache(maxsize=1)
def inverses(blocks: int, rows: int, seed: int, dtype: torch.dtype) -> Tensor:
    """Return (S_b S_b^T)^-1 S_b of every block, the transposed pseudo-inverse."""
    matrices = projections(blocks, rows, seed, dtype)
    solved: Tensor = torch.linalg.solve(matrices @ matrices.mT, matrices)
    return solved

"""`sparse_jl`: CountSketch, a random projection with one entry per column."""

from functools import lru_cache

from torch import Tensor

from trainorder.compression.codec import Arrays, Codec, DenseTable, seed_array
from trainorder.compression.jl import LEAST_SQUARES
from trainorder.numerics.countsketch import SEED, SparseJL


class SparseProjection(Codec):
    """y = S g with S a CountSketch, recovered as g ~ S^T (S S^T)^-1 y (least squares).

    Charikar, Chen and Farach-Colton 2002; see `numerics.countsketch`. S S^T is diagonal and counts
    the entries of each row, so that entry i becomes its sign times the mean of its row.
    """

    name = "sparse_jl"
    read = LEAST_SQUARES

    def __init__(self, ratio: int) -> None:
        """Keep one number of every `ratio`."""
        self.ratio = ratio

    @property
    def size(self) -> str:
        """Rows of the projection."""
        return f"P / {self.ratio} rows"

    def encode(self, table: DenseTable) -> Arrays:
        """Keep the sketches (T, U, k) and the seed of S."""
        size = table.gradient.shape[-1]
        project = projection(size, max(1, size // self.ratio), SEED)
        sketch = table.gradient.new_empty(*table.gradient.shape[:2], project.rows)
        for t, rows in enumerate(table.gradient):
            sketch[t] = project(rows)
        arrays = {"sketch": sketch, "seed": seed_array(SEED), "size": seed_array(size)}
        return arrays

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return S^T (S S^T)^-1 y."""
        sketch = arrays["sketch"][t]
        project = projection(int(arrays["size"]), sketch.shape[-1], int(arrays["seed"]))
        return project.transposed(sketch / project.counts.clamp(min=1).to(sketch.dtype))

    def features(self, arrays: Arrays, t: int) -> Tensor:
        """Return the sketches: a projection preserves inner products."""
        return arrays["sketch"][t]


@lru_cache(maxsize=1)
def projection(size: int, rows: int, seed: int) -> SparseJL:
    """Return the projection; it is drawn once for all steps."""
    return SparseJL(size, rows, seed)

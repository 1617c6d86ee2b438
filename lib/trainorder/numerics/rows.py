"""`Rows`: a few vectors of very many parameters, in memory or in temporary files.

The methods compute over blocks of columns and release mapped pages after each block. So they need
little memory, and give the same bits wherever the numbers lie. See `numerics.large_tensors`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import h5py
import torch
from torch import Tensor

from trainorder.numerics import gram, large_tensors


@dataclass(frozen=True)
class Rows:
    """n vectors of P parameters.

    Attributes:
        tensor: (n, P). If the memory budget was used up, it is mapped from a temporary file.

    Example:
        >>> import torch
        >>> rows = Rows(torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]]))
        >>> rows.gram()
        tensor([[25.,  0.],
                [ 0.,  4.]])
        >>> rows.combine(torch.tensor([[1.0, 1.0]])).tensor
        tensor([[3., 4., 2.]])
        >>> rows.scale(rows.squared_norms().rsqrt()).tensor
        tensor([[0.6000, 0.8000, 0.0000],
                [0.0000, 0.0000, 1.0000]])

    """

    tensor: Tensor

    @classmethod
    def zeros(cls, n: int, size: int, dtype: torch.dtype = torch.float32) -> "Rows":
        """Return `n` vectors of `size` zeros.

        Raises:
            UserError: neither the memory budget nor the disk has room for them.

        """
        return cls(large_tensors.zeros(n, size, dtype=dtype))

    @classmethod
    def empty(cls, n: int, size: int, dtype: torch.dtype = torch.float32) -> "Rows":
        """Return `n` vectors of `size` arbitrary numbers; raises as `zeros` does."""
        return cls(large_tensors.empty(n, size, dtype=dtype))

    @classmethod
    def stack(cls, vectors: Iterable[Tensor], n: int, size: int, dtype: torch.dtype) -> "Rows":
        """Return the `n` `vectors` (P,), which are taken one at a time.

        Raises:
            ValueError: `vectors` has more or fewer than `n` items.

        """
        return cls(large_tensors.stack(vectors, (n, size), dtype))

    @classmethod
    def concatenate(cls, parts: Sequence["Rows"]) -> "Rows":
        """Return the vectors of all `parts`, in the dtype of the last part."""
        return cls(large_tensors.join([part.tensor for part in parts]))

    @classmethod
    def read(cls, dataset: h5py.Dataset, *index: int) -> "Rows":
        """Read the vectors (n, P) of a dataset at `index`, one at a time."""
        return cls(large_tensors.read(dataset, *index))

    @classmethod
    def from_blocks(cls, n: int, function: Callable[..., Tensor], *operands: "Rows") -> "Rows":
        """Return `n` vectors whose columns are `function` of the same columns of `operands`.

        Args:
            n: the number of vectors.
            function: takes a block (m, b) of each operand and returns (n, b).
            operands: one or more; the result has the dtype of the last one.

        """
        last = operands[-1].tensor
        result = cls.empty(n, last.shape[1], dtype=last.dtype)
        for columns in large_tensors.column_blocks(sum(map(len, operands)), last.shape[1]):
            result.tensor[:, columns] = function(*(rows.tensor[:, columns] for rows in operands))
        return result

    def __len__(self) -> int:
        """Return n."""
        return len(self.tensor)

    def __getitem__(self, row: int) -> Tensor:
        """Return a vector (P,), which shares its numbers with these rows."""
        return self.tensor[row]

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the vectors (P,)."""
        return iter(self.tensor)

    def copy(self) -> "Rows":
        """Return a copy."""
        return Rows(large_tensors.copy(self.tensor))

    def gram(self, other: "Rows | None" = None, weight: Tensor | None = None) -> Tensor:
        """Return X diag(`weight`) Y' (n, m) of these rows X and `other` Y, or X if it is None.

        Args:
            other: (m, P).
            weight: (P,); None for ones.

        """
        second = self if other is None else other
        return large_tensors.inner_products(self.tensor, second.tensor, weight)

    def squared_norms(self, weight: Tensor | None = None) -> Tensor:
        """Return the sums (n,) of the squares, each times its `weight` (P,)."""
        return large_tensors.squared_norms(self.tensor, weight)

    def combine(self, weights: Tensor) -> "Rows":
        """Return the linear combinations `weights` (m, n) times these rows, (m, P)."""
        return Rows(large_tensors.combine(weights, self.tensor))

    def principal(self, metric: Tensor, count: int) -> "Rows":
        """Return up to `count` principal directions; see `numerics.gram.principal`."""
        return Rows(gram.principal(self.tensor, metric, count))

    def scale(self, factors: Tensor) -> "Rows":
        """Multiply each vector in place by its own factor (n,), and return these rows."""
        large_tensors.scale_rows(self.tensor, factors)
        return self

    def map_blocks(self, function: Callable[..., Tensor], *operands: "Rows | Tensor") -> "Rows":
        """Replace the columns in place by `function` of them, and return these rows.

        Args:
            function: takes a block (n, b) of these rows and of each operand, and returns (n, b).
            operands: rows (m, P), or vectors (P,).

        """
        tensors = [each.tensor if isinstance(each, Rows) else each for each in operands]
        count = len(self) + sum(len(each) for each in tensors if each.ndim > 1)
        for columns in large_tensors.column_blocks(count, self.tensor.shape[1]):
            blocks = (each[..., columns] for each in tensors)
            self.tensor[:, columns] = function(self.tensor[:, columns], *blocks)
        return self

    def subtract(self, vector: Tensor) -> "Rows":
        """Subtract a `vector` (P,) from each in place, and return these rows."""
        return self.map_blocks(torch.sub, vector)

    def write(self, file: h5py.File, name: str) -> None:
        """Add the vectors to a file as dataset `name`, one at a time."""
        large_tensors.write(file, name, self.tensor)

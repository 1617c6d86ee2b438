"""`Rows`: a few vectors of very many parameters, in memory or in temporary files.

The methods compute over blocks of columns and release mapped pages after each block. So they need
little memory, and give the same bits wherever the numbers are stored. See `numerics.large_tensors`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import h5py
import torch
from torch import Tensor

from trainorder.numerics import large_tensors

Columns = Callable[[slice], Any]  # returns the columns of something that a slice selects


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
    def empty(cls, n: int, size: int, dtype: torch.dtype = torch.float32) -> "Rows":
        """Return `n` vectors of `size` arbitrary numbers.

        Raises:
            UserError: neither the memory budget nor the disk has room for them.

        """
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
    def read(cls, dataset: h5py.Dataset) -> "Rows":
        """Read the vectors (n, P) of a dataset, one at a time."""
        return cls(large_tensors.read(dataset))

    @classmethod
    def from_blocks(cls, n: int, function: Callable[..., Tensor], *operands: "Rows") -> "Rows":
        """Return `n` vectors whose columns are `function` of the same columns of `operands`.

        Args:
            n: the number of vectors.
            function: takes a block (m, b) of each operand and returns (n, b).
            operands: one or more; the result has the dtype of the last one.

        """
        result = cls.empty(n, operands[-1].size, dtype=operands[-1].dtype)
        return result.fill(function, *operands)

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return self.tensor.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the numbers."""
        return self.tensor.dtype

    def __len__(self) -> int:
        """Return n."""
        return len(self.tensor)

    @overload
    def __getitem__(self, rows: int) -> Tensor: ...
    @overload
    def __getitem__(self, rows: slice) -> "Rows": ...
    def __getitem__(self, rows: int | slice) -> "Tensor | Rows":
        """Return a vector (P,), or some of the vectors; both share their numbers with these."""
        return Rows(self.tensor[rows]) if isinstance(rows, slice) else self.tensor[rows]

    def __setitem__(self, row: int, vector: Tensor) -> None:
        """Overwrite a vector with `vector` (P,)."""
        self.tensor[row] = vector
        large_tensors.release_pages()

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the vectors (P,), which share their numbers with these rows."""
        for vector in self.tensor:
            yield vector
            large_tensors.release_pages()

    def split(self, parts: int) -> list["Rows"]:
        """Return `parts` groups of n / `parts` consecutive vectors, sharing their numbers."""
        n = len(self) // parts
        return [self[i * n : (i + 1) * n] for i in range(parts)]

    def block(self, columns: slice) -> Tensor:
        """Return some columns (n, b) of all vectors, which share their numbers with these rows."""
        return self.tensor[:, columns]

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

    def combination(self, weights: Tensor) -> Callable[[slice], Tensor]:
        """Return a function that computes only some columns (m, b) of `combine(weights)`."""
        return lambda columns: weights @ self.tensor[:, columns]

    def scale(self, factors: Tensor) -> "Rows":
        """Multiply each vector in place by its own factor (n,), and return these rows."""
        large_tensors.scale_rows(self.tensor, factors)
        return self

    def fill(
        self,
        function: Callable[..., Tensor],
        *operands: "Rows | Tensor | Columns",
        at_once: int | None = None,
    ) -> "Rows":
        """Overwrite the columns with `function` of the same columns of `operands`.

        Args:
            function: takes a block of each operand and returns (n, b).
            operands: as in `blocks`.
            at_once: as in `blocks`; by default n if no operand is rows.

        Returns:
            These rows.

        """
        at_once = at_once or _count(operands) or len(self)
        for block, *others in blocks(self, *operands, at_once=at_once):
            block.copy_(function(*others))
        return self

    def map_blocks(
        self, function: Callable[..., Tensor], *operands: "Rows | Tensor | Columns"
    ) -> "Rows":
        """Overwrite the columns with `function` of them and those of `operands`; see `fill`."""
        return self.fill(function, self, *operands)

    def write(self, file: h5py.File, name: str) -> None:
        """Add the vectors to a file as dataset `name`, one at a time."""
        large_tensors.write(file, name, self.tensor)


def blocks(
    *operands: Rows | Tensor | Columns, at_once: int | None = None
) -> Iterator[tuple[Any, ...]]:
    """Yield the same columns of all `operands`, one block of columns after the other.

    Changes of a block of rows or of a vector in place change the operand.

    Args:
        operands: rows (m, P) give blocks (m, b); vectors (P,) give (b,); functions are called with
            the slice of the columns. One or more are not functions.
        at_once: the number of vectors for which there is memory to be; the width b, and with it
            the rounding of sums over blocks, depends on this number and P alone. By default it is
            the number of all operands that are rows.

    """
    parts = [each.block if isinstance(each, Rows) else each for each in operands]
    size = next(_size(each) for each in operands if isinstance(each, Rows | Tensor))
    for columns in large_tensors.column_blocks(at_once or _count(operands), size):
        yield tuple(part[columns] if isinstance(part, Tensor) else part(columns) for part in parts)


def _count(operands: Iterable[Rows | Tensor | Columns]) -> int:
    return sum(len(each) for each in operands if isinstance(each, Rows))


def _size(operand: Rows | Tensor) -> int:
    return operand.size if isinstance(operand, Rows) else len(operand)

"""What a codec is: it encodes the gradient table as arrays, and decodes the gradients of a step."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from trainorder.errors import DivergedError
from trainorder.expansion.gradient_table import GradientTable

Arrays = Mapping[str, Tensor]


class DenseTable(GradientTable):
    """The whole gradient table in memory, (T, U, P): what codecs encode and are compared with."""

    def __init__(self, gradient: Tensor) -> None:
        """Wrap `gradient` (T, U, P).

        Raises:
            DivergedError: a gradient is not finite.

        """
        self.gradient = gradient
        for t, rows in enumerate(gradient):
            non_finite = (~rows.isfinite().all(dim=1)).nonzero()
            if len(non_finite):
                raise DivergedError(
                    f"gradient table: the gradient of unit {int(non_finite[0])} at step {t} is not "
                    "finite; lower optimizer.learning_rate"
                )

    @classmethod
    def read(cls, table: GradientTable, steps: Sequence[int]) -> "DenseTable":
        """Read a table at `steps`, which become the rows 0 .. T - 1."""
        first = table.at(steps[0])
        gradient = first.new_empty(len(steps), *first.shape)
        for row, t in enumerate(steps):
            gradient[row] = table.at(t)
        return cls(gradient)

    def at(self, t: int) -> Tensor:
        """Return the gradients (U, P) at step `t`, a view."""
        return self.gradient[t]

    @property
    def shape(self) -> tuple[int, int, int]:
        """T, U and P."""
        steps, units, size = self.gradient.shape
        return steps, units, size

    @property
    def matrix(self) -> Tensor:
        """The table as a matrix (T U, P), a view."""
        return self.gradient.flatten(0, 1)

    @cached_property
    def norm(self) -> float:
        """Frobenius norm; a single pass over the table can compute it."""
        rows = torch.linalg.vector_norm(self.gradient, dim=-1)
        return float(rows.double().norm())

    @cached_property
    def gram(self) -> Tensor:
        """A A^T of the matrix A, (T U, T U) float64, computed in the precision of the table."""
        return (self.matrix @ self.matrix.T).double()


@dataclass(frozen=True)
class Estimate:
    """An a-posteriori estimate of |A - A'| / |A| (Frobenius), computed without A - A'.

    Attributes:
        value: the estimate.
        low: lower end of the interval that contains the true error with probability `CONFIDENCE`.
        high: upper end of that interval.

    """

    value: float
    low: float
    high: float


class Codec(ABC):
    """Encodes a gradient table, and decodes the gradients of one step.

    Attributes:
        name: of the kind of codec.
        read: how gradients are recovered where there is a choice, else empty.
        passes: how often `encode` reads the table; with one pass, the whole table never has to be
            in memory or on disk.

    """

    name: str
    read: str = ""
    passes: int = 1

    @property
    @abstractmethod
    def size(self) -> str:
        """The chosen size, in words."""

    @abstractmethod
    def encode(self, table: DenseTable) -> Arrays:
        """Return all arrays that are kept of `table`; a seed is an array of one number."""

    @abstractmethod
    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return the approximate gradients (U, P) at step `t`."""

    def features(self, arrays: Arrays, t: int) -> Tensor:
        """Return vectors (U, ...) whose inner products approximate those of the gradients."""
        return self.decode(arrays, t)

    def streaming_bytes(self, arrays: Arrays) -> int | None:
        """Return the bytes held while the table is read once; None if one pass is not enough."""
        return byte_count(arrays) if self.passes == 1 else None

    def estimate(self, table: DenseTable, arrays: Arrays) -> Estimate | None:
        """Return an a-posteriori estimate of the error, if the codec has one."""
        return None


@dataclass(frozen=True)
class CompressedTable(GradientTable):
    """An encoded table; it can be read wherever a gradient table is."""

    codec: Codec
    arrays: Arrays

    @property
    def bytes(self) -> int:
        """Bytes of all arrays."""
        return byte_count(self.arrays)

    def at(self, t: int) -> Tensor:
        """Return the approximate gradients (U, P) at step `t`."""
        return self.codec.decode(self.arrays, t)

    def features(self, t: int) -> Tensor:
        """Return vectors (U, ...) whose inner products approximate those of the gradients."""
        return self.codec.features(self.arrays, t)


def compressed(codec: Codec, table: DenseTable) -> CompressedTable:
    """Return `table`, encoded by `codec`."""
    return CompressedTable(codec, codec.encode(table))


def byte_count(arrays: Arrays) -> int:
    """Return the bytes of all numbers in `arrays`."""
    return sum(array.numel() * array.element_size() for array in arrays.values())


def rank_within(table_shape: tuple[int, int, int], ratio: float) -> int:
    """Return the largest rank r whose factors, r (T U + P) numbers, are 1 / `ratio` of a table."""
    steps, units, size = table_shape
    rows = steps * units
    return int(rows * size / (ratio * (rows + size)))


def seed_array(seed: int) -> Tensor:
    """Return a seed as an array, 8 bytes."""
    return torch.tensor(seed)

"""What every store is: arrays that stand for the gradient table, and a way to read it back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from trainorder.errors import UserError
from trainorder.expansion.gradient_table import GradientTable

Arrays = Mapping[str, Tensor]


class Dense(GradientTable):
    """The whole table in memory, (T, U, P): what every store is made from and compared with."""

    def __init__(self, gradient: Tensor) -> None:
        """Wrap `gradient` (T, U, P).

        Raises:
            UserError: a gradient is not finite; no store could keep it.

        """
        self.gradient = gradient
        for t, rows in enumerate(gradient):
            broken = (~rows.isfinite().all(dim=1)).nonzero()
            if len(broken):
                raise UserError(
                    f"gradient table: the gradient of unit {int(broken[0])} at step {t} is not "
                    "finite; lower optimizer.learning_rate"
                )

    @classmethod
    def read(cls, table: GradientTable, steps: Sequence[int]) -> "Dense":
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
    def matrix(self) -> Tensor:
        """The table as a matrix (T U, P), a view."""
        return self.gradient.flatten(0, 1)

    @cached_property
    def norm(self) -> float:
        """Frobenius norm, which a single pass can add up as well."""
        rows = torch.linalg.vector_norm(self.gradient, dim=-1)
        return float(rows.double().norm())

    @cached_property
    def gram(self) -> Tensor:
        """A A^T of the matrix A, (T U, T U) float64; the products are of the table's precision."""
        return (self.matrix @ self.matrix.T).double()


@dataclass(frozen=True)
class Estimate:
    """An a-posteriori estimate of |A - A'| / |A| (Frobenius), made without looking at A - A'.

    Attributes:
        value: the estimate.
        low: lower end of the interval that holds the true error with probability `CONFIDENCE`.
        high: upper end of that interval.

    """

    value: float
    low: float
    high: float


class Codec(ABC):
    """Turns a table into a store, and a store into the gradients of one step.

    Attributes:
        name: of the kind of store.
        read: how gradients are got back where there is a choice, else empty.
        passes: how often the encoder goes through the table; after a single pass the table need
            never have been held.

    """

    name: str
    read: str = ""
    passes: int = 1

    @property
    @abstractmethod
    def size(self) -> str:
        """What was chosen of the size, in words."""

    @abstractmethod
    def encode(self, table: Dense) -> Arrays:
        """Return all that is kept of `table`; a seed counts as an array of one number."""

    @abstractmethod
    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return what stands for the gradients (U, P) at step `t`."""

    def features(self, arrays: Arrays, t: int) -> Tensor:
        """Return vectors (U, ...) whose inner products stand for those of the gradients at `t`."""
        return self.decode(arrays, t)

    def streaming_bytes(self, arrays: Arrays) -> int | None:
        """Return the bytes held while the table passes by; None where one pass is not enough."""
        return byte_count(arrays) if self.passes == 1 else None

    def estimate(self, table: Dense, arrays: Arrays) -> Estimate | None:
        """Return the store's own estimate of its error, if it has one."""
        return None


@dataclass(frozen=True)
class Encoded(GradientTable):
    """A store: to be used wherever a `Table` is read."""

    codec: Codec
    arrays: Arrays

    @property
    def bytes(self) -> int:
        """Bytes of all that is kept."""
        return byte_count(self.arrays)

    def at(self, t: int) -> Tensor:
        """Return what stands for the gradients (U, P) at step `t`."""
        return self.codec.decode(self.arrays, t)

    def features(self, t: int) -> Tensor:
        """Return vectors (U, ...) whose inner products stand for those of the gradients at `t`."""
        return self.codec.features(self.arrays, t)


def encoded(codec: Codec, table: Dense) -> Encoded:
    """Return the store that `codec` makes of `table`."""
    return Encoded(codec, codec.encode(table))


def byte_count(arrays: Arrays) -> int:
    """Return the bytes of the numbers in `arrays`."""
    return sum(array.numel() * array.element_size() for array in arrays.values())


def rank_within(table_shape: tuple[int, int, int], ratio: float) -> int:
    """Return the largest rank r whose factors, r (T U + P) numbers, take 1 / `ratio` of a table."""
    steps, units, size = table_shape
    rows = steps * units
    return int(rows * size / (ratio * (rows + size)))


def seed_array(seed: int) -> Tensor:
    """Return a seed as it is kept, 8 bytes."""
    return torch.tensor(seed)

"""What the codecs of low rank share: the table's matrix as a product of two thin matrices."""

from torch import Tensor

from trainorder.compression.codec import Arrays, Codec, DenseTable


class Factored(Codec):
    """A ~ L R for the matrix A (T U, P) of the table, with L (T U, r) and R (r, P).

    Subclasses compute the factors.
    """

    def __init__(self, rank: int) -> None:
        """Set the rank r."""
        self.rank = rank

    @property
    def size(self) -> str:
        """The rank."""
        return f"rank {self.rank}"

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return L_t R."""
        return arrays["left"][t] @ arrays["right"]


def by_step(left: Tensor, table: DenseTable) -> Tensor:
    """Return the left factor (T U, r) as (T, U, r)."""
    rows: Tensor = left.unflatten(0, table.gradient.shape[:2]).contiguous()
    return rows

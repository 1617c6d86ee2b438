"""`dense`: the table without compression."""

from torch import Tensor

from trainorder.compression.codec import Arrays, Codec, DenseTable


class DenseCodec(Codec):
    """g ~ g: keeps every number in the precision of the table."""

    name = "dense"

    @property
    def size(self) -> str:
        """The whole table."""
        return "all"

    def encode(self, table: DenseTable) -> Arrays:
        """Keep the table."""
        return {"gradient": table.gradient}

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return the gradients themselves."""
        return arrays["gradient"][t]

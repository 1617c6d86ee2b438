"""`dense`: the table as it is."""

from torch import Tensor

from trainorder.compression.codec import Arrays, Codec, Dense


class Plain(Codec):
    """Keeps every number."""

    name = "dense"

    @property
    def size(self) -> str:
        """All of it."""
        return "all"

    def encode(self, table: Dense) -> Arrays:
        """Keep the table."""
        return {"gradient": table.gradient}

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return the gradients themselves."""
        return arrays["gradient"][t]

"""`anchors`: some steps of the table, and linear interpolation between them."""

import torch
from torch import Tensor

from trainorder.compression.codec import Arrays, Codec, DenseTable
from trainorder.compression.dense import DenseCodec
from trainorder.expansion.even_anchors import even_anchors
from trainorder.numerics.interpolation import interpolated


class AnchorCodec(Codec):
    """G[t] ~ G[a] + (t - a) / (b - a) (G[b] - G[a]) for neighbouring anchors a <= t < b.

    `gradient_table.Table` interpolates in the same way. Another codec stores the anchors; the two
    compression ratios multiply.
    """

    def __init__(self, anchors: int, inner: Codec | None = None) -> None:
        """Set the number of anchors, evenly spaced over all steps, and their codec."""
        self.anchors = anchors
        self.inner = inner or DenseCodec()
        self.name = f"anchors, {self.inner.name}" if inner else "anchors"

    @property
    def size(self) -> str:
        """Number of anchors."""
        return f"{self.anchors} anchors"

    def encode(self, table: DenseTable) -> Arrays:
        """Keep the steps of the anchors, and their gradients encoded by the inner codec."""
        step = torch.from_numpy(even_anchors(len(table.gradient), self.anchors))
        return {"step": step, **self.inner.encode(DenseTable(table.gradient[step]))}

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Return the interpolation of the decoded anchors."""
        return interpolated(
            arrays["step"].numpy(), t, lambda place: self.inner.decode(arrays, place)
        )

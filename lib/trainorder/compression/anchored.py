"""`anchors`: some of the steps, in full or as bytes, and straight lines between them."""

import torch
from torch import Tensor

from trainorder.compression.codec import Arrays, Codec, Dense
from trainorder.compression.dense import Plain
from trainorder.expansion.anchors import even_anchors
from trainorder.numerics.interpolation import interpolated


class Anchors(Codec):
    """G[t] = G[a] + (t - a) / (b - a) (G[b] - G[a]) for anchors a <= t < b, as `table.Table`.

    The anchors themselves are kept by another codec, whose savings multiply.
    """

    def __init__(self, anchors: int, inner: Codec | None = None) -> None:
        """Keep that many steps, spread evenly, first and last included."""
        self.anchors = anchors
        self.inner = inner or Plain()
        self.name = f"anchors, {self.inner.name}" if inner else "anchors"

    @property
    def size(self) -> str:
        """Number of anchors."""
        return f"{self.anchors} anchors"

    def encode(self, table: Dense) -> Arrays:
        """Keep what the inner codec keeps of the anchors, and their steps."""
        step = torch.from_numpy(even_anchors(len(table.gradient), self.anchors))
        return {"step": step, **self.inner.encode(Dense(table.gradient[step]))}

    def decode(self, arrays: Arrays, t: int) -> Tensor:
        """Interpolate."""
        return interpolated(
            arrays["step"].numpy(), t, lambda place: self.inner.decode(arrays, place)
        )

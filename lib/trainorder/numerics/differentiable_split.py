"""A differentiable split of a parameter vector that respects the memory budget.

`torch.split` does the same, but its derivative allocates a vector (P,) outside the memory budget.
Here the derivative is written to a tensor of `numerics.large_tensors`. The derivative of a split is
a join and the derivative of a join is a split, so that derivatives of any order exist.
"""

from typing import Any

import torch
from torch import Tensor

from trainorder.numerics import large_tensors


def split(vector: Tensor, sizes: list[int]) -> tuple[Tensor, ...]:
    """Return views of the parts of `vector` (P,); `sizes` are their lengths and sum to P."""
    parts: tuple[Tensor, ...] = _Split.apply(vector, sizes)  # type: ignore[no-untyped-call]
    return parts


class _Split(torch.autograd.Function):
    """The split; its backward pass joins the gradients of the parts."""

    @staticmethod
    def forward(ctx: Any, vector: Tensor, sizes: list[int]) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = vector.split(sizes)
        return parts

    @staticmethod
    def backward(ctx: Any, *parts: Tensor) -> tuple[Tensor, None]:
        return _Join.apply(*parts), None  # type: ignore[no-untyped-call]


class _Join(torch.autograd.Function):
    """The join; its backward pass splits the gradient."""

    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.sizes = [len(part) for part in parts]
        result = large_tensors.empty(sum(ctx.sizes), dtype=parts[0].dtype)
        for target, part in zip(result.split(ctx.sizes), parts, strict=True):
            target.copy_(part)
            large_tensors.release_pages()
        return result

    @staticmethod
    def backward(ctx: Any, vector: Tensor) -> tuple[Tensor, ...]:
        sizes: list[int] = ctx.sizes
        return split(vector, sizes)

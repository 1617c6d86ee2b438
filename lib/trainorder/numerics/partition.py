"""One vector as several: `torch.split`, whose derivative of any order lies where `vectors` are."""

from typing import Any

import torch
from torch import Tensor

from trainorder.numerics import vectors


def split(whole: Tensor, sizes: list[int]) -> tuple[Tensor, ...]:
    """Return the parts of `whole` (P,), of `sizes` numbers that make up P; they are views."""
    parts: tuple[Tensor, ...] = _Split.apply(whole, sizes)  # type: ignore[no-untyped-call]
    return parts


class _Split(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, whole: Tensor, sizes: list[int]) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = whole.split(sizes)
        return parts

    @staticmethod
    def backward(ctx: Any, *parts: Tensor) -> tuple[Tensor, None]:
        return _Join.apply(*parts), None  # type: ignore[no-untyped-call]


class _Join(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.sizes = [len(part) for part in parts]
        result = vectors.empty(sum(ctx.sizes), dtype=parts[0].dtype)
        for place, part in zip(result.split(ctx.sizes), parts, strict=True):
            place.copy_(part)
            vectors.forget()
        return result

    @staticmethod
    def backward(ctx: Any, whole: Tensor) -> tuple[Tensor, ...]:
        sizes: list[int] = ctx.sizes
        return split(whole, sizes)

"""Products of the Hessian of a loss with directions."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from trainorder.numerics.derivatives import Loss, differenced_gradients

HessianProducts = Callable[[Loss, Tensor, Iterable[Tensor]], Iterator[Tensor]]


def exact_products(loss: Loss, theta: Tensor, directions: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield H d (P,) for each direction d (P,), with the Hessian H of `loss` at `theta` (P,).

    H d is the gradient of <g, d> at fixed d (Pearlmutter 1994, "Fast exact multiplication by the
    Hessian"). The graph of the gradient g is built once for all directions.
    """
    point = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(point), point, create_graph=True)
    for d in directions:
        (product,) = torch.autograd.grad(g, point, d.detach(), retain_graph=True)
        yield product


def differenced_products(
    loss: Loss, theta: Tensor, directions: Iterable[Tensor]
) -> Iterator[Tensor]:
    """Yield H d (P,) for each direction d (P,), by central differences of gradients.

    For losses that torch differentiates only once (`derivatives.is_twice_differentiable`).
    """
    size = torch.linalg.vector_norm(theta).clamp(min=1.0)
    zero = torch.zeros_like(theta)
    for d in directions:
        length = torch.linalg.vector_norm(d)
        if not length:
            yield zero
            continue
        terms = differenced_gradients(loss, theta, [zero, d * (size / length)], 1)
        g, moved = terms
        yield (moved - g) * (length / size)

"""Gradients of a loss and of its Taylor polynomials along a displacement."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from torch import Tensor

from trainorder import vectors

Loss = Callable[[Tensor], Tensor]
_NOT_TWICE = "is not implemented"  # in torch's message, of the derivative of a fused kernel's


def gradient(loss: Loss, theta: Tensor) -> Tensor:
    """Return the gradient (P,) of the scalar `loss` at `theta` (P,)."""
    point = theta.detach().requires_grad_()
    (result,) = torch.autograd.grad(loss(point), point)
    return result


def taylor_gradients(
    loss: Loss, centre: Tensor, displacements: Iterable[Tensor], order: int
) -> Iterator[Tensor]:
    """Yield the Taylor polynomial (P,) of the gradient about `centre`, at each displacement.

    Order 0 is g, order 1 adds H d, order 2 adds (1/2) D^3 L [d, d]. Each comes from nested reverse
    passes: with p1 = L + <g, d> and p2 = p1 + (1/2) <H d, d>, the polynomials are the gradients of
    L, p1 and p2 (d held fixed). The graph of g is built once for all displacements. A loss that
    torch cannot differentiate so often is differenced instead, with a warning.

    Args:
        loss: maps (P,) to a scalar, differentiable at least once.
        centre: (P,).
        displacements: (P,) each; taken one at a time.
        order: 0, 1 or 2.

    """
    point = centre.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(point), point, create_graph=order > 0)
    polynomial = partial(_polynomial, g, point, order)
    for d in displacements:
        try:
            term = polynomial(d.detach())
        except RuntimeError as error:
            if _NOT_TWICE not in str(error):
                raise
            warnings.warn(
                f"second derivatives by differences of gradients: {str(error).splitlines()[0]}",
                stacklevel=2,
            )
            polynomial = partial(_differenced, loss, g.detach(), centre, order)
            term = polynomial(d)
        yield term


def _differenced(loss: Loss, g: Tensor, centre: Tensor, order: int, d: Tensor) -> Tensor:
    """Return the polynomial with central differences of gradients for its derivatives.

    The step e d balances the error of rounding, about eps / |e d|^order, and of truncation,
    |e d|^2, relative to the size of the centre.
    """
    length = torch.linalg.vector_norm(d)
    if not length:
        return g
    size = torch.linalg.vector_norm(centre).clamp(min=1.0)
    e: Tensor = torch.finfo(centre.dtype).eps ** (1 / (2 + order)) * size / length
    ahead, behind = gradient(loss, centre + e * d), gradient(loss, centre - e * d)
    result: Tensor = g + (ahead - behind) / (2 * e)
    return result if order == 1 else result + (ahead - 2 * g + behind) / (2 * e**2)


def _polynomial(g: Tensor, point: Tensor, order: int, d: Tensor) -> Tensor:
    result = vectors.copied(g.detach())
    if order == 0 or not d.any():  # at the centre the polynomial is the gradient
        return result
    (hvp,) = torch.autograd.grad(g, point, d, create_graph=order > 1, retain_graph=True)
    result += hvp.detach()
    vectors.forget()
    if order > 1 and hvp.requires_grad:  # a quadratic loss has no third derivative
        (third,) = torch.autograd.grad(hvp, point, d, retain_graph=True)
        result.add_(third, alpha=0.5)
        vectors.forget()
    return result

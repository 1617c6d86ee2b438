"""Gradients of a loss, and Taylor polynomials of the gradient along a displacement."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from torch import Tensor

from trainorder.numerics import large_tensors

Loss = Callable[[Tensor], Tensor]
_NOT_TWICE = (  # parts of torch's messages about a missing second derivative
    "is not implemented",  # a fused kernel
    "once_differentiable",  # a function with this decorator
    "does not require grad",  # the gradient has no graph
    "have been used in the graph",  # the graph of the gradient does not reach the parameters
    "double backward",  # a function compiled by torch.compile
)
# The largest relative error of a complete H d. In float32, rounding gives an error of 0.003, and a
# missing normalization layer gives 0.07.
_TOLERANCE = 0.05


def gradient(loss: Loss, theta: Tensor) -> Tensor:
    """Return the gradient (P,) of the scalar `loss` at `theta` (P,)."""
    return value_and_gradient(loss, theta)[1]


def value_and_gradient(loss: Loss, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scalar `loss` and its gradient (P,) at `theta` (P,), from one pass."""
    point = theta.detach().requires_grad_()
    value = loss(point)
    (result,) = torch.autograd.grad(value, point)
    return value.detach(), result


def taylor_gradients(
    loss: Loss, centre: Tensor, displacements: Iterable[Tensor], order: int
) -> Iterator[Tensor]:
    """Yield the Taylor polynomial (P,) of the gradient about `centre`, at each displacement.

    Order 0 is g, order 1 adds H d, order 2 adds (1/2) D^3 L [d, d]. Nested reverse passes compute
    them: with p1 = L + <g, d> and p2 = p1 + (1/2) <H d, d>, the polynomials are the gradients of
    L, p1 and p2 at fixed d. The graph of g is built once for all displacements. If torch lacks a
    derivative of the loss, central differences of gradients replace it, with a warning.

    Args:
        loss: maps (P,) to a scalar, differentiable at least once.
        centre: (P,).
        displacements: (P,) each; consumed one at a time.
        order: 0, 1 or 2.

    """
    point = centre.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(point), point, create_graph=order > 0)
    polynomial = partial(_polynomial, g, point, order)
    for d in displacements:
        try:
            term = polynomial(d.detach())
        except RuntimeError as error:
            _warn(_missing(error))
            polynomial = partial(_differenced, loss, g.detach(), centre, order)
            term = polynomial(d)
        yield term


def differenced_gradients(
    loss: Loss, centre: Tensor, displacements: Iterable[Tensor], order: int
) -> Iterator[Tensor]:
    """Yield the polynomials of `taylor_gradients`, order 1 or 2, by differences of gradients."""
    g = gradient(loss, centre)
    for d in displacements:
        yield _differenced(loss, g, centre, order, d)


def is_twice_differentiable(loss: Loss, theta: Tensor) -> bool:
    """Return whether torch has the second derivative of `loss` at `theta` (P,); warn if not.

    A function that records no graph of its gradient, such as some fused kernels, is missing from H,
    and torch raises no error. Therefore H d, for a random d, is compared with a central difference
    of gradients. If a shorter step gives a different difference, because of a kink of a ReLU or of
    rounding, the comparison is inconclusive and the result is True.
    """
    d = large_tensors.empty(len(theta), dtype=theta.dtype)
    d.normal_(generator=torch.Generator().manual_seed(0))
    point = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(point), point, create_graph=True)
    try:
        (exact,) = torch.autograd.grad(g, point, d)
    except RuntimeError as error:
        _warn(_missing(error))
        return False
    del g
    step = _step(theta, d, 1)
    difference = _slope(loss, theta, d, step)
    size = large_tensors.squared_norms(difference)
    residual = difference.sub_(exact)
    squared_error = large_tensors.squared_norms(residual)
    if not squared_error > _TOLERANCE**2 * size:
        return True
    shorter = _slope(loss, theta, d, step / 10).sub_(exact)
    if large_tensors.squared_norms(residual.sub_(shorter)) > squared_error / 4:
        return True
    _warn("autograd omits a part of the loss from the second derivative")
    return False


def _missing(error: RuntimeError) -> str:
    """Return torch's message if `error` is a missing derivative; otherwise raise `error`."""
    if not any(words in str(error) for words in _NOT_TWICE):
        raise error
    return str(error).splitlines()[0]


def _warn(reason: str) -> None:
    warnings.warn(
        f"second derivatives are computed by differences of gradients: {reason}", stacklevel=3
    )


def _differenced(loss: Loss, g: Tensor, centre: Tensor, order: int, d: Tensor) -> Tensor:
    """Return the polynomial (P,) with derivatives from central differences of gradients."""
    if not d.any():
        return g
    e = _step(centre, d, order)
    ahead, behind = gradient(loss, centre + e * d), gradient(loss, centre - e * d)
    result: Tensor = g + (ahead - behind) / (2 * e)
    return result if order == 1 else result + (ahead - 2 * g + behind) / (2 * e**2)


def _step(centre: Tensor, d: Tensor, order: int) -> Tensor:
    """Return e for central differences with the step e d.

    It balances the rounding error, about eps / |e d|^order, and the truncation error, |e d|^2,
    both relative to the norm of `centre`.
    """
    size = torch.linalg.vector_norm(centre).clamp(min=1.0)
    length = torch.linalg.vector_norm(d)
    e: Tensor = torch.finfo(centre.dtype).eps ** (1 / (2 + order)) * size / length
    return e


def _slope(loss: Loss, centre: Tensor, d: Tensor, e: Tensor) -> Tensor:
    """Return H d (P,) from central differences of gradients with the step e d."""
    ahead = gradient(loss, centre + e * d)
    return ahead.sub_(gradient(loss, centre - e * d)).div_(2 * e)


def _polynomial(g: Tensor, point: Tensor, order: int, d: Tensor) -> Tensor:
    """Return the polynomial (P,) with derivatives from autograd, for g with its graph."""
    result = large_tensors.copy(g.detach())
    if order == 0 or not d.any():  # at the centre the polynomial is the gradient
        return result
    (hvp,) = torch.autograd.grad(g, point, d, create_graph=order > 1, retain_graph=True)
    result += hvp.detach()
    large_tensors.release_pages()
    if order > 1 and hvp.requires_grad:  # a quadratic loss has no third derivative
        (third,) = torch.autograd.grad(hvp, point, d, retain_graph=True)
        result.add_(third, alpha=0.5)
        large_tensors.release_pages()
    return result

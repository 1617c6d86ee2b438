"""Gradients of a loss and of its Taylor polynomials along a displacement."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from torch import Tensor

from trainorder.numerics import large_tensors

Loss = Callable[[Tensor], Tensor]
_NOT_TWICE = (  # in torch's messages, of the derivative
    "is not implemented",  # of a fused kernel's
    "once_differentiable",  # of that of a function which is marked so
    "does not require grad",  # of a gradient that no graph was recorded of
    "have been used in the graph",  # of one whose graph does not reach the parameters
    "double backward",  # of what torch.compile has made
)
_LACKING = 0.05  # of a second derivative; single precision errs by 0.003, a norm left out by 0.07


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
            _warn(_missing(error))
            polynomial = partial(_differenced, loss, g.detach(), centre, order)
            term = polynomial(d)
        yield term


def differenced_gradients(
    loss: Loss, centre: Tensor, displacements: Iterable[Tensor], order: int
) -> Iterator[Tensor]:
    """Yield the polynomials of `taylor_gradients`, of order 1 or 2, by differences of gradients."""
    g = gradient(loss, centre)
    for d in displacements:
        yield _differenced(loss, g, centre, order, d)


def is_twice_differentiable(loss: Loss, theta: Tensor) -> bool:
    """Return whether torch has the second derivative of `loss` at `theta` (P,); warn if not.

    A function that records no graph of its gradient, as a fused kernel may, is left out of H
    without a word: so H d, of a random d, is held against a central difference of gradients. It
    judges nothing where a shorter step gives another one, at the kinks of a ReLU or by rounding.
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
    off = _slope(loss, theta, d, step)
    size = large_tensors.squared_norms(off)
    lacking = large_tensors.squared_norms(off.sub_(exact))
    if not lacking > _LACKING**2 * size:
        return True
    shorter = _slope(loss, theta, d, step / 10).sub_(exact)
    if large_tensors.squared_norms(off.sub_(shorter)) > lacking / 4:
        return True
    _warn("autograd leaves out a part of the loss")
    return False


def _missing(error: RuntimeError) -> str:
    """Return what torch says of a derivative that it lacks; raise an error of another kind."""
    if not any(words in str(error) for words in _NOT_TWICE):
        raise error
    return str(error).splitlines()[0]


def _warn(reason: str) -> None:
    warnings.warn(f"second derivatives by differences of gradients: {reason}", stacklevel=3)


def _differenced(loss: Loss, g: Tensor, centre: Tensor, order: int, d: Tensor) -> Tensor:
    """Return the polynomial with central differences of gradients for its derivatives."""
    if not d.any():
        return g
    e = _step(centre, d, order)
    ahead, behind = gradient(loss, centre + e * d), gradient(loss, centre - e * d)
    result: Tensor = g + (ahead - behind) / (2 * e)
    return result if order == 1 else result + (ahead - 2 * g + behind) / (2 * e**2)


def _step(centre: Tensor, d: Tensor, order: int) -> Tensor:
    """Return e, of a step e d of central differences.

    It balances the error of rounding, about eps / |e d|^order, and of truncation, |e d|^2, relative
    to the size of the centre.
    """
    size = torch.linalg.vector_norm(centre).clamp(min=1.0)
    length = torch.linalg.vector_norm(d)
    e: Tensor = torch.finfo(centre.dtype).eps ** (1 / (2 + order)) * size / length
    return e


def _slope(loss: Loss, centre: Tensor, d: Tensor, e: Tensor) -> Tensor:
    """Return H d (P,) by central differences of gradients over the step e d."""
    ahead = gradient(loss, centre + e * d)
    return ahead.sub_(gradient(loss, centre - e * d)).div_(2 * e)


def _polynomial(g: Tensor, point: Tensor, order: int, d: Tensor) -> Tensor:
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

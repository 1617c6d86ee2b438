"""The transposed derivative of one step of an optimizer: what its adjoint state becomes backwards.

`optimizer.py` has the updates. Here z = (theta, m, v) is the state, z' = Phi(z, g, g^2) one update
with a clipped gradient g, and the adjoint of a number is its derivative in the state. The adjoint
before the step, at fixed gradients, is (dPhi/dz)' times that after it. The gradient and its square
have adjoints of their own. Pruthi et al. 2020 ("Estimating training data influence by tracing
gradient descent", arXiv 2002.08484, section 3) keep one step of it; Ilyas and Engstrom 2025
("MAGIC: near-optimal data attribution for deep learning", arXiv 2504.16430) transpose all of them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from trainorder.numerics import large_tensors
from trainorder.training.optimizer import AdamW, Optimizer, State

Adjoints = tuple[Tensor, Tensor]  # of the gradient and of its square, (n, P) each


def pulled_back(optimizer: Optimizer, after: State, adjoint: State) -> Adjoints:
    """Move `adjoint` from after an update to before it, and return the adjoints of g and of g^2.

    The gradient is held fixed: the derivative through the loss, a Hessian-vector product, is added
    by the caller.

    Args:
        optimizer: of the update.
        after: the state after the update, (P,) each.
        adjoint: n adjoints of the state after the update, (n, P) each; changed in place.

    Returns:
        The adjoints (n, P) of the clipped gradient, where it enters m or the buffer, and of its
        square, where it enters v; the latter are 0 for SGD.

    """
    shape, dtype = adjoint.parameters.shape, adjoint.parameters.dtype
    gradient, square = (large_tensors.empty(*shape, dtype=dtype) for _ in range(2))
    transpose = _through_adamw if isinstance(optimizer, AdamW) else _through_sgd
    for columns in large_tensors.column_blocks(*shape):
        part = adjoint.columns(columns)
        gradient[:, columns], square[:, columns] = transpose(
            optimizer.columns(columns), after.columns(columns), part
        )
    adjoint.step -= 1
    return gradient, square


def _through_adamw(optimizer: Optimizer, after: State, adjoint: State) -> Adjoints:
    """The update is theta' = (1 - eta lambda) theta - (eta / c1) m' / (sqrt(v' / c2) + eps).

    Where v' is 0, the square root has no derivative; it is taken as 0 there.
    """
    c = optimizer.config
    rate = optimizer.learning_rate(after.step - 1)
    correction1, correction2 = optimizer.bias_corrections(after.step - 1)
    root = (after.exp_avg_sq / correction2).sqrt()
    denominator = root + c.epsilon
    slope = torch.where(root > 0, after.exp_avg / root, 0) / denominator**2
    theta, m, v = adjoint.parameters, adjoint.exp_avg, adjoint.exp_avg_sq
    m.addcdiv_(theta, denominator, value=-rate / correction1)
    v.addcmul_(theta, slope, value=rate / (2 * correction1 * correction2))
    adjoints = (1 - c.beta1) * m, (1 - c.beta2) * v
    optimizer.shrink(theta, after.step - 1)
    m.mul_(c.beta1)
    v.mul_(c.beta2)
    return adjoints


def _through_sgd(optimizer: Optimizer, after: State, adjoint: State) -> Adjoints:
    """The update is buf' = mu buf + g + lambda theta;  theta' = theta - eta buf'."""
    theta, buffer = adjoint.parameters, adjoint.exp_avg
    buffer.sub_(theta, alpha=optimizer.learning_rate(after.step - 1))
    adjoints = buffer.clone(), torch.zeros_like(buffer)
    optimizer.pull(theta, buffer)
    buffer.mul_(optimizer.config.momentum)
    return adjoints


def through_clipping(
    optimizer: Optimizer, mean: Tensor, square: Callable[[slice], Tensor], adjoint: Adjoints
) -> None:
    """Turn the adjoints of a clipped gradient and its square into those of the whole ones.

    The gradient g and its (expected) square q become s g and s^2 q, where s = C / (n + 1e-6) with
    the largest norm C and n^2 = sum q. So ds / dq = -s / (2 n (n + 1e-6)), and with adjoints a and
    b of s g and s^2 q, those of g and q are

        s a    and    s^2 b - s (<a, g> + 2 s <b, q>) / (2 n (n + 1e-6)).

    A gradient below the largest norm is not changed.

    Args:
        optimizer: knows the largest norm.
        mean: g (P,), not clipped.
        square: gives blocks of q (P,).
        adjoint: a and b, (n, P) each; changed in place.

    """
    if optimizer.config.gradient_clip is None:
        return
    linear, squares = adjoint
    along, total = linear.new_zeros(2, len(linear)), linear.new_zeros((), dtype=torch.float64)
    blocks = list(large_tensors.column_blocks(2 * len(linear), len(mean)))
    for columns in blocks:
        q = square(columns)
        along[0] += linear[:, columns] @ mean[columns]
        along[1] += squares[:, columns] @ q
        total += q.sum(dtype=torch.float64)
    norm = total.sqrt()
    scale = float(optimizer.clip_scale(norm))
    if scale == 1:
        return
    slope = scale / float(2 * norm * (norm + 1e-6))
    shift = slope * (along[0] + 2 * scale * along[1])[:, None]
    for columns in blocks:
        linear[:, columns] *= scale
        squares[:, columns] = scale**2 * squares[:, columns] - shift

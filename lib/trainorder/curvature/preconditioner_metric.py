"""The metric of Adam's preconditioner, in which displacements and gradients are measured."""

from functools import partial

from torch import Tensor

from trainorder.expansion.expansion import Expansion
from trainorder.numerics.rows import Rows


def second_moment_scale(expansion: Expansion) -> Tensor:
    """Return v_hat^(1/4) (P,) in the middle of the path.

    Adam's preconditioner is 1 / sqrt(v_hat). With displacements times this scale, and gradients
    divided by it, a step of Adam is a step of gradient descent. For SGD the scale is 1.
    """
    path, optimizer = expansion.path, expansion.optimizer
    [scale] = Rows.empty(1, expansion.problem.size, dtype=expansion.dtype).fill(
        lambda state: optimizer.second_moment(state).sqrt().sqrt(),
        partial(path.state, path.steps // 2),
    )
    return scale.clamp_(min=float(scale.max()) * 1e-6)

"""The metric of Adam's preconditioner, in which displacements and gradients are measured."""

from torch import Tensor

from trainorder.expansion.expansion import Expansion
from trainorder.numerics import large_tensors


def second_moment_scale(expansion: Expansion) -> Tensor:
    """Return v_hat^(1/4) (P,) in the middle of the path.

    Adam's preconditioner is 1 / sqrt(v_hat): displacements times this scale, and gradients over it,
    have the norm in which a step of Adam is a step of gradient descent. For SGD it is 1.
    """
    path, size = expansion.path, expansion.problem.size
    scale = large_tensors.empty(size, dtype=expansion.dtype)
    for columns in large_tensors.column_blocks(1, size):
        state = path.state(path.steps // 2, columns)
        scale[columns] = expansion.optimizer.second_moment(state).sqrt().sqrt()
    return scale.clamp_(min=float(scale.max()) * 1e-6)

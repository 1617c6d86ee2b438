"""How the goals at the end of the window depend on the gradient of a step."""

from functools import partial

from trainorder.curvature.cluster_curvature import ClusterCurvature
from trainorder.expansion.expansion import Expansion
from trainorder.numerics.rows import Rows, blocks
from trainorder.training.problem import goal_gradients

GOAL_STEPS = 3  # number of steps at which the sensitivities are recorded


def sensitivities(expansion: Expansion, curvature: ClusterCurvature) -> Rows:
    """Return P_t lambda_t (n, P), the derivatives of the goals at the end in the gradient at t.

    lambda_T is the gradient of a goal at the end of the path. Backwards from there,
    lambda_t = lambda_{t+1} - eta_t H P_t lambda_{t+1}, with the preconditioner P_t of the path
    (`training.optimizer`) and the mean curvature H. The delay of momentum is neglected;
    `training.adjoint_step` has the exact transpose of a step.

    Args:
        expansion: the problem, the optimizer and the path.
        curvature: gives H.

    Returns:
        (3 D, P), in unit length: three steps of the window, the last one first, and for each of
        them all D goals.

    """
    path, optimizer = expansion.path, expansion.optimizer
    adjoint = Rows(goal_gradients(expansion.problem, path.parameters(path.steps)))
    preconditioned = Rows.empty(len(adjoint), adjoint.size, dtype=adjoint.dtype)
    recorded_steps = {path.steps * (2 * i + 1) // (2 * GOAL_STEPS) for i in range(GOAL_STEPS)}
    recorded = []
    for t in reversed(range(path.steps)):
        # Only directions count. Where changes grow, lengths would overflow after many steps.
        adjoint.scale(adjoint.squared_norms().rsqrt())
        preconditioned.fill(
            lambda block, state: optimizer.preconditioner(state) * block,
            adjoint,
            partial(path.state, t + 1),
        )
        if t in recorded_steps:
            recorded.append(preconditioned.copy().scale(preconditioned.squared_norms().rsqrt()))
        rate = optimizer.learning_rate(path.first_step + t)
        for block, curved in blocks(adjoint, curvature.apply_mean(preconditioned)):
            block -= rate * curved
    return Rows.concatenate(recorded)

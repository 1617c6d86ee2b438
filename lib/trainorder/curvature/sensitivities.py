"""How the goals at the end of the window depend on the gradient of a step."""

from torch import Tensor

from trainorder.curvature.cluster_curvature import ClusterCurvature
from trainorder.expansion.expansion import Expansion
from trainorder.numerics import large_tensors
from trainorder.numerics.rows import Rows
from trainorder.training.problem import goal_gradients

_GOAL_STEPS = 3  # places in the window at which the metrics' sensitivities are taken


def sensitivities(expansion: Expansion, curvature: ClusterCurvature) -> Tensor:
    """Return P_t lambda_t (n, P), the change of each goal at the end by a gradient at step t.

    lambda_T is the gradient of the goal at the path's end; backwards,
    lambda_t = lambda_{t+1} - H eta_t P_t lambda_{t+1}, with the preconditioner P_t of the path
    (`training.optimizer`) and the mean curvature H. The delay of momentum is neglected.
    """
    problem, path, optimizer = expansion.problem, expansion.path, expansion.optimizer
    rows = goal_gradients(problem, path.parameters(path.steps))
    pushed = large_tensors.empty(*rows.shape, dtype=rows.dtype)
    places = {path.steps * (2 * i + 1) // (2 * _GOAL_STEPS) for i in range(_GOAL_STEPS)}
    taken = []
    for t in reversed(range(path.steps)):
        for columns in large_tensors.column_blocks(*rows.shape):
            state = path.state(t + 1, columns)
            pushed[:, columns] = optimizer.preconditioner(state) * rows[:, columns]
        if t in places:
            taken.append(Rows(pushed).copy().scale(Rows(pushed).squared_norms().rsqrt()))
        rate = optimizer.learning_rate(path.first_step + t)
        curved = curvature.apply_mean(pushed)
        for columns in large_tensors.column_blocks(*rows.shape):
            rows[:, columns] -= rate * curved(columns)
    return Rows.concatenate(taken).tensor

"""Whether autograd differentiates a model twice, which Taylor expansions and `adjoint` ask."""

from functools import partial

from trainorder.expansion.expansion import Expansion
from trainorder.numerics.derivatives import is_twice_differentiable


def has_second_derivatives(expansion: Expansion) -> bool:
    """Return whether autograd has the second derivatives, tested for unit 0 at the window's start.

    The test is counted: its Hessian-vector product here, its gradients where they are computed.
    """
    problem = expansion.problem
    problem.meter.add("hvps", problem.sequences)
    return is_twice_differentiable(partial(problem.loss, unit=0), expansion.parameters(0))

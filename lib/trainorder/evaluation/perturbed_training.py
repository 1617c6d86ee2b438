"""Trains from perturbed starts, to measure how changes of the parameters grow over the window.

Let F_t(theta) be the parameters after t steps of the window, trained in the reference order from
theta and the moments before the window. A direction d is what a random order changes in its first
h steps,

    d = theta_h(random order) - theta_h(reference order),

and the response to s d is R_t(s) = F_t(theta_0 + s d) - F_t(theta_0). Then

    growth = |R_T(e)| / |e d|, for a small e and the whole window of T steps;
    linearity = <R_t(1), R_t(e)> / (|R_t(1)| |R_t(e)|), the cosine of both after t = T / 3 steps.

Large changes are followed until then, so those in three directions cost one retraining together.

Norms and products are those of the optimizer's preconditioner at the end of the reference order,
|x|^2 = sum_i sqrt(v_hat_i) x_i^2 (for SGD, the plain ones). In the plain norm, parameters without
influence on the loss would count most: Adam moves them at the full rate, although their gradient is
nothing but rounding.

All parameters are reached by training with true gradients; nothing is estimated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainorder.evaluation.predictability import Response
from trainorder.evaluation.resumable_training import Trainings
from trainorder.expansion.path import ExpansionPath
from trainorder.numerics import large_tensors
from trainorder.training.optimizer import State
from trainorder.training.trainer import diverged

DIRECTIONS = 3  # random orders
_LARGEST_SMALL = 0.1  # e is at most this
_ROUNDING = 100  # |e d| is at least this many times the rounding of the parameters


def first_steps(steps: int) -> int:
    """Return h, the first steps of the window, in which random orders are followed: an eighth.

    At least two, because the learning rate of a linear warm-up is 0 at the first one.
    """
    return min(steps, max(2, steps // 8))


def linearity_steps(steps: int) -> int:
    """Return t, the first steps of the window, over which large changes are followed: a third."""
    return max(first_steps(steps), steps // 3)


def trained_steps(steps: int, *, reference: bool = False) -> int:
    """Return how many steps are trained, all runs together, in a window of `steps`.

    Args:
        steps: T.
        reference: whether the reference order is trained, too.

    """
    each = first_steps(steps) + linearity_steps(steps) + steps
    return DIRECTIONS * each + (steps if reference else 0)


@dataclass(frozen=True)
class ReferenceRun:
    """The training in the reference order that perturbed trainings are compared with.

    Attributes:
        schedule: (T, k) units of each step.
        start: the state before the window.
        after_first_steps: (P,) parameters after `first_steps`.
        after_linearity_steps: (P,) parameters after `linearity_steps`.
        end: the state after the window.

    """

    schedule: np.ndarray
    start: State
    after_first_steps: Tensor
    after_linearity_steps: Tensor
    end: State

    @classmethod
    def of_path(cls, path: ExpansionPath, schedule: np.ndarray) -> "ReferenceRun":
        """Return the run whose states are a path; nothing is trained."""
        first, third = (
            path.parameters(count(len(schedule))) for count in (first_steps, linearity_steps)
        )
        return cls(schedule, path.state(0), first, third, path.state(path.steps))

    @classmethod
    def trained(cls, trainings: Trainings, start: State, schedule: np.ndarray) -> "ReferenceRun":
        """Train in the order `schedule` (T, k) from `start`, which is not changed.

        Raises:
            DivergedError: the training diverged.

        """
        h, t = first_steps(len(schedule)), linearity_steps(len(schedule))
        state = trainings.trained("reference-first", start.clone(), schedule[:h])
        first = large_tensors.copy(state.parameters)
        state = trainings.trained("reference-third", state, schedule[h:t])
        third = large_tensors.copy(state.parameters)
        end = trainings.trained("reference", state, schedule[t:])
        if not large_tensors.all_finite(end.parameters):
            what = "the parameters are not finite after it"
            raise diverged("order reference", len(schedule) - 1, what, trainings.optimizer.config)
        return cls(schedule, start, first, third, end)


def responses(
    trainings: Trainings, reference: ReferenceRun, orders: Sequence[np.ndarray]
) -> list[Response]:
    """Return the response to changes of the parameters in the direction of each of `orders`.

    Args:
        trainings: trains the perturbed runs.
        reference: the run in the reference order.
        orders: (T, k) schedules of random orders.

    Returns:
        A response for each order, except those whose first steps change the parameters by no more
        than rounding does.

    """
    theta = reference.start.parameters
    metric = Metric(trainings.optimizer.second_moment(reference.end).sqrt_())
    result: list[Response] = []
    for number, order in enumerate(orders):
        run = reference.start.clone()
        run = trainings.trained(f"{number}-first", run, order[: first_steps(len(order))])
        direction = run.parameters.sub_(reference.after_first_steps)
        size = metric.norm(direction)
        factor = metric.small_factor(theta, size)
        if not factor * size < _ROUNDING * metric.rounding(theta):  # also if it is not a number
            result.append(_response(trainings, reference, metric, number, direction))
    return result


def _response(
    trainings: Trainings,
    reference: ReferenceRun,
    metric: "Metric",
    number: int,
    direction: Tensor,
) -> Response:
    """Return the response to changes in the direction (P,) with a `number`."""
    schedule, t = reference.schedule, linearity_steps(len(reference.schedule))
    size = metric.norm(direction)
    factor = metric.small_factor(reference.start.parameters, size)
    run = _changed(reference, direction, 1.0)
    run = trainings.trained(f"{number}-large", run, schedule[:t])
    large = run.parameters.sub_(reference.after_linearity_steps)
    run = _changed(reference, direction, factor)
    run = trainings.trained(f"{number}-small-third", run, schedule[:t])
    linearity = metric.cosine(
        large, large_tensors.copy(run.parameters).sub_(reference.after_linearity_steps)
    )
    run = trainings.trained(f"{number}-small", run, schedule[t:])
    growth = metric.norm(run.parameters.sub_(reference.end.parameters)) / (factor * size)
    growth = growth if math.isfinite(growth) else math.inf
    return Response(size, factor, growth, linearity)


def _changed(reference: ReferenceRun, direction: Tensor, factor: float) -> State:
    """Return the start of the window, changed by `factor` times a direction (P,)."""
    run = reference.start.clone()
    run.parameters.add_(direction, alpha=factor)
    return run


@dataclass(frozen=True)
class Metric:
    """Norms and products of vectors (P,), with a weight of each parameter.

    Attributes:
        weight: (P,), of the squares.

    """

    weight: Tensor

    def norm(self, vector: Tensor) -> float:
        """Return the norm of a vector (P,)."""
        return math.sqrt(float(large_tensors.squared_norms(vector, self.weight)))

    def cosine(self, one: Tensor, other: Tensor) -> float | None:
        """Return the cosine of two vectors (P,); None if a norm is 0 or not finite."""
        product = float(large_tensors.inner_products(one[None], other[None], self.weight))
        norms = self.norm(one) * self.norm(other)
        return product / norms if 0 < norms < math.inf else None

    def rounding(self, theta: Tensor) -> float:
        """Return u |theta|, about the error of storing the parameters (P,); u is the roundoff."""
        return torch.finfo(theta.dtype).eps * self.norm(theta)

    def small_factor(self, theta: Tensor, size: float) -> float:
        """Return e, so that |e d| is sqrt(u) |theta|, but at most a tenth of |d|.

        This is the usual step of a one-sided difference, where rounding and curvature have about
        the same share in the error (Dennis and Schnabel 1983, section 5.4).

        Args:
            theta: (P,) parameters.
            size: |d|; any number.

        """
        step = self.rounding(theta) / math.sqrt(torch.finfo(theta.dtype).eps)
        return min(_LARGEST_SMALL, step / size) if size > 0 else _LARGEST_SMALL

"""Trains from perturbed starts, to measure how changes of the parameters grow over the window.

Let F(theta) be the parameters after the window, trained in the reference order from theta and the
moments before the window. A direction d is what a random order changes in its first k steps,

    d = theta_k(random order) - theta_k(reference order),

and the response to s d is R(s) = F(theta_0 + s d) - F(theta_0). Then

    growth = |R(e)| / |e d|, for a small e;
    linearity = <R(1), R(e)> / (|R(1)| |R(e)|), the cosine of both responses.

Norms and products are those of the optimizer's preconditioner at the end of the reference order,
|x|^2 = sum_i sqrt(v_hat_i) x_i^2 (for SGD, the plain ones). In the plain norm, parameters without
influence on the loss would count most: Adam moves them at the full rate, although their gradient is
nothing but rounding.

All parameters are reached by training with true gradients; nothing is estimated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from trainorder.evaluation.predictability import Response
from trainorder.numerics import large_tensors
from trainorder.training.optimizer import Optimizer, State
from trainorder.training.problem import Problem, add_mean_gradient
from trainorder.training.trainer import diverged

DIRECTIONS = 3  # random orders
LARGE_RUNS = 1  # directions in which a change of the size that orders cause is trained, too
_LARGEST_SMALL = 0.1  # e is at most this
_ROUNDING = 100  # |e d| is at least this many times the rounding of the parameters


def first_steps(steps: int) -> int:
    """Return k, the first steps of the window, in which random orders are followed: an eighth.

    At least two, because the learning rate of a linear warm-up is 0 at the first one.
    """
    return min(steps, max(2, steps // 8))


def trained_steps(steps: int) -> int:
    """Return how many steps `responses` trains, all runs together, in a window of `steps`."""
    return (1 + DIRECTIONS + LARGE_RUNS) * steps + DIRECTIONS * first_steps(steps)


def responses(
    problem: Problem,
    optimizer: Optimizer,
    start: State,
    reference: np.ndarray,
    orders: Sequence[np.ndarray],
) -> list[Response]:
    """Return the response to a small change in the direction of each of `orders`.

    In the first `LARGE_RUNS` directions, a change of the size that orders cause is trained, too.

    Args:
        problem: the learning problem; its meter counts the gradients.
        optimizer: the optimizer.
        start: the state before the window, (P,) each; it is not changed.
        reference: (T, k) units of each step of the reference order.
        orders: (T, k) schedules of random orders.

    Returns:
        A response for each order, except those whose first steps change the parameters by no more
        than rounding does.

    Raises:
        DivergedError: training in the reference order diverged.

    """
    first = first_steps(len(reference))
    run = start.clone()
    train(problem, optimizer, run, reference[:first])
    middle = large_tensors.copy(run.parameters)
    train(problem, optimizer, run, reference[first:])
    if not large_tensors.all_finite(run.parameters):
        what = "the parameters are not finite after it"
        raise diverged("order reference", len(reference) - 1, what, optimizer.config)
    metric = Metric(optimizer.second_moment(run).sqrt_())
    changed = partial(_response, problem, optimizer, start, reference, run.parameters)
    result: list[Response] = []
    for order in orders:
        run = start.clone()
        train(problem, optimizer, run, order[:first])
        direction = run.parameters.sub_(middle)
        size = metric.norm(direction)
        factor = metric.small_factor(start.parameters, size)
        if factor * size < _ROUNDING * metric.rounding(start.parameters):
            continue
        small = changed(direction, factor)
        large = changed(direction, 1.0) if len(result) < LARGE_RUNS else None
        growth = metric.norm(small) / (factor * size)
        result.append(
            Response(
                size,
                factor,
                growth if math.isfinite(growth) else math.inf,
                None if large is None else metric.cosine(large, small),
            )
        )
    return result


def _response(
    problem: Problem,
    optimizer: Optimizer,
    start: State,
    reference: np.ndarray,
    end: Tensor,
    direction: Tensor,
    factor: float,
) -> Tensor:
    """Return R(`factor`) (P,), the change at the end of the window; see the module docstring."""
    run = start.clone()
    run.parameters.add_(direction, alpha=factor)
    train(problem, optimizer, run, reference)
    return run.parameters.sub_(end)


def train(problem: Problem, optimizer: Optimizer, state: State, schedule: np.ndarray) -> None:
    """Advance `state` (P,) in place by the steps of `schedule` (T, k), with true gradients."""
    total = large_tensors.zeros(problem.size, dtype=state.parameters.dtype)
    for units in schedule.tolist():
        total.zero_()
        add_mean_gradient(problem, state.parameters, units, total)
        optimizer.update(state, total)


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

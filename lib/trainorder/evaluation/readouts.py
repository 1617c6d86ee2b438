"""Evaluates metrics and losses at given parameters, and at averaged weights."""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from trainorder.data.metrics import metric_names
from trainorder.data.multiple_choice import choice_values
from trainorder.training.problem import LanguageProblem


def readout_names(problem: LanguageProblem, averaged: bool) -> list[str]:
    """Return the names of the M metrics of a readout, with those of averaged weights if wanted."""
    return metric_names(problem.goals, averaged, choices=problem.questions is not None)


def evaluate_readout(
    problem: LanguageProblem, parameters: Tensor, averaged: Tensor | None
) -> np.ndarray:
    """Return all metrics (O, M) of a readout, in the sequence of `readout_names`.

    Args:
        problem: the learning problem; if it has questions, they are answered at `parameters`.
        parameters: (O, P) last weights.
        averaged: (O, P) averaged weights; None for none.

    """
    values = [_each(problem.evaluate, parameters)]
    if averaged is not None:
        values.append(_each(problem.evaluate, averaged))
    if problem.questions is not None:
        values.append(_each(lambda row: choice_values(problem.choice_losses(row)), parameters))
    return np.concatenate(values, axis=1)


def _each(function: Callable[[Tensor], np.ndarray], parameters: Tensor) -> np.ndarray:
    """Return `function` of each row of (O, P); once, if all rows are views of one (stride 0)."""
    if parameters.stride(0) == 0:
        return np.tile(function(parameters[0]), (len(parameters), 1))
    return np.stack([function(row) for row in parameters])


def unit_losses(problem: LanguageProblem, theta: Tensor, units: Sequence[int]) -> np.ndarray:
    """Return the losses (1, U) of `units` at `theta` (P,); NaN for all other units."""
    losses = np.full((1, problem.units), np.nan)
    for unit in units:
        losses[0, unit] = problem.unit_loss(theta, unit)
    return losses

"""Evaluates metrics and losses at given parameters, and at averaged weights."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trainorder.training.problem import LanguageProblem


def evaluate(problem: LanguageProblem, parameters: Tensor) -> np.ndarray:
    """Return the metrics (O, M), in nats per token, of parameters (O, P).

    If all rows are views of one row (stride 0), it is evaluated once.
    """
    if parameters.stride(0) == 0:
        return np.tile(problem.evaluate(parameters[0]), (len(parameters), 1))
    return np.stack([problem.evaluate(row) for row in parameters])


def evaluate_rows(problem: LanguageProblem, parameters: Tensor, rows: Sequence[int]) -> np.ndarray:
    """Return the metrics (n, M) of the n `rows` of parameters (O, P), as `evaluate` does."""
    if parameters.stride(0) == 0:
        return evaluate(problem, parameters[: len(rows)])
    return np.stack([problem.evaluate(parameters[row]) for row in rows])


def evaluate_both(
    problem: LanguageProblem, parameters: Tensor, averaged: Tensor | None
) -> np.ndarray:
    """Return the metrics of parameters (O, P), and then those of `averaged` (O, P), if given.

    The result is (O, M), in the sequence of `metric_names`.
    """
    values = evaluate(problem, parameters)
    if averaged is None:
        return values
    return np.concatenate([values, evaluate(problem, averaged)], axis=1)


def unit_losses(problem: LanguageProblem, theta: Tensor, units: Sequence[int]) -> np.ndarray:
    """Return the losses (1, U) of `units` at `theta` (P,); NaN for all other units."""
    losses = np.full((1, problem.units), np.nan)
    with torch.no_grad():
        for unit in units:
            losses[0, unit] = float(problem.loss(theta, unit))
    return losses

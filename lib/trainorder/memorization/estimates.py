"""Estimates of what follows from every position of every unit."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from trainorder.curvature.reduced_model import ReducedModel
from trainorder.evaluation.replaying import replayed_unit_losses
from trainorder.expansion.replay import Estimator
from trainorder.memorization.moves import all_positions, moves
from trainorder.training.problem import LanguageProblem

Floats = NDArray[np.float64]
# From schedules (n, T, k) and one unit for each to the loss of the unit (n,) and of domains (n, D).
Estimate = Callable[[np.ndarray, np.ndarray], tuple[Floats, Floats]]


def reduced_estimate(reduced: ReducedModel) -> Estimate:
    """Return a function that estimates with the reduced model."""

    def estimate(schedules: np.ndarray, units: np.ndarray) -> tuple[Floats, Floats]:
        orders = torch.from_numpy(schedules.copy())
        own = reduced.units(orders)[torch.arange(len(units)), torch.from_numpy(units)]
        heldout = reduced.predict(orders)[:, : len(reduced.goals)]  # at the last weights
        return own.double().numpy(), heldout.double().numpy()

    return estimate


def replayed_estimate(replay: Estimator, problem: LanguageProblem) -> Estimate:
    """Return a function that replays each schedule and evaluates the losses of the result."""

    def estimate(schedules: np.ndarray, units: np.ndarray) -> tuple[Floats, Floats]:
        return replayed_unit_losses(replay, problem, torch.from_numpy(schedules.copy()), units)

    return estimate


def estimates_at_all_positions(
    base: np.ndarray, unit_domains: Sequence[str], estimate: Estimate
) -> dict[str, Floats]:
    """Return the arrays that `maps.estimated_maps` reads, for all moves in a schedule (T, k)."""
    units = np.arange(base.size)
    arrays = {}
    copies = np.broadcast_to(base, (len(units), *base.shape))
    arrays["own_base"], arrays["heldout_base"] = estimate(copies, units)
    for name, move in moves(base, unit_domains).items():
        schedules = all_positions(base, move)
        flat = schedules.reshape(-1, *base.shape)
        own, heldout = estimate(flat, np.repeat(units, len(base)))
        shape = schedules.shape[:2]
        arrays[f"own_{name}"] = own.reshape(shape)
        arrays[f"heldout_{name}"] = heldout.reshape(*shape, -1)
    return arrays

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
# Schedules (n, T, k) and a unit for each to its loss (n,) and those of the domains (n, D).
Estimate = Callable[[np.ndarray, np.ndarray], tuple[Floats, Floats]]


def by_reduced(reduced: ReducedModel) -> Estimate:
    """Return estimates by the reduced model."""

    def estimate(schedules: np.ndarray, units: np.ndarray) -> tuple[Floats, Floats]:
        orders = torch.from_numpy(schedules.copy())
        own = reduced.units(orders)[torch.arange(len(units)), torch.from_numpy(units)]
        return own.double().numpy(), reduced.predict(orders).double().numpy()

    return estimate


def by_replay(replay: Estimator, problem: LanguageProblem) -> Estimate:
    """Return estimates by an estimator of parameters, whose losses are evaluated."""

    def estimate(schedules: np.ndarray, units: np.ndarray) -> tuple[Floats, Floats]:
        return replayed_unit_losses(replay, problem, torch.from_numpy(schedules.copy()), units)

    return estimate


def of_all_positions(
    base: np.ndarray, unit_domains: Sequence[str], estimate: Estimate
) -> dict[str, Floats]:
    """Return the arrays that `maps.estimated_maps` reads, of moves in a schedule (T, k)."""
    units = np.arange(base.size)
    arrays = {}
    everywhere = np.broadcast_to(base, (len(units), *base.shape))
    arrays["own_base"], arrays["heldout_base"] = estimate(everywhere, units)
    for way, move in moves(base, unit_domains).items():
        schedules = all_positions(base, move)
        flat = schedules.reshape(-1, *base.shape)
        own, heldout = estimate(flat, np.repeat(units, len(base)))
        shape = schedules.shape[:2]
        arrays[f"own_{way}"] = own.reshape(shape)
        arrays[f"heldout_{way}"] = heldout.reshape(*shape, -1)
    return arrays

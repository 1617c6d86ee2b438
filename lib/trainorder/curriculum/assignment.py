"""Orders from effects: linear assignment for additive effects, quadratic for pairwise ones."""

import numpy as np
from scipy.optimize import (
    Bounds,
    LinearConstraint,
    linear_sum_assignment,
    milp,
    quadratic_assignment,
)

from trainorder.curriculum.constraints import Constraints, Quota
from trainorder.curriculum.effects import PairwiseEffects
from trainorder.errors import UserError


def linear_assignment(effects: np.ndarray, constraints: Constraints) -> np.ndarray:
    """Return the schedule (T, k) with the lowest sum of `effects` (U, T), exactly.

    Each step consumes k = U / T units. Without quotas this is the Hungarian method on k copies of
    each step (Crouse 2016, as in scipy); with quotas it is an integer program (HiGHS).

    Raises:
        UserError: no order meets the constraints.

    """
    width = constraints.reference.shape[1]
    allowed = constraints.allowed()
    if constraints.quotas:
        steps = _by_integer_program(effects, allowed, constraints, width)
    else:
        cost = np.where(allowed, effects, np.inf).repeat(width, axis=1)
        try:
            _, column = linear_sum_assignment(cost)
        except ValueError:
            raise _impossible() from None
        steps = column // width
    return np.argsort(steps, kind="stable").reshape(-1, width)


def _impossible() -> UserError:
    return UserError(
        "config: curriculum: no order meets pinned, quotas and furthest together; relax one of them"
    )


def _by_integer_program(
    effects: np.ndarray, allowed: np.ndarray, constraints: Constraints, width: int
) -> np.ndarray:
    """Return the step of each unit (U,)."""
    units, steps = effects.shape
    cells = np.arange(units * steps).reshape(units, steps)
    rows = [LinearConstraint(_indicator(cells, cells[u]), 1, 1) for u in range(units)]
    rows += [LinearConstraint(_indicator(cells, cells[:, t]), width, width) for t in range(steps)]
    for quota in constraints.quotas:
        rows.append(_quota_row(quota, cells, constraints))
    solution = milp(
        effects.reshape(-1),
        constraints=rows,
        integrality=np.ones(cells.size),
        bounds=Bounds(0, allowed.reshape(-1).astype(float)),
    )
    if solution.x is None:
        raise _impossible()
    assigned: np.ndarray = solution.x.reshape(units, steps).argmax(axis=1)
    return assigned


def _indicator(cells: np.ndarray, selected: np.ndarray) -> np.ndarray:
    row = np.zeros((1, cells.size))
    row[0, selected.reshape(-1)] = 1
    return row


def _quota_row(quota: Quota, cells: np.ndarray, constraints: Constraints) -> LinearConstraint:
    most = np.inf if quota.most is None else quota.most
    members = cells[constraints.members(quota)]
    return LinearConstraint(_indicator(cells, members), quota.least, most)


def pairwise_assignment(effects: PairwiseEffects, width: int, seed: int) -> np.ndarray:
    """Return a schedule (T, k) with a low sum of pairwise effects, by 2-opt from a FAQ start.

    sum_{u, v} W[u, v] K[p_u, p_v] is the quadratic assignment problem of Koopmans and Beckmann
    (1957); FAQ is the algorithm of Vogelstein et al. (2015). It does not know the constraints.
    """
    kernel = effects.kernel.repeat(width, axis=0).repeat(width, axis=1)
    rng = np.random.default_rng(seed)
    start = quadratic_assignment(effects.weights, kernel, options={"rng": rng})
    guess = np.stack([np.arange(len(kernel)), start.col_ind], axis=1)
    solution = quadratic_assignment(
        effects.weights, kernel, method="2opt", options={"partial_guess": guess, "rng": rng}
    )
    return np.argsort(solution.col_ind // width, kind="stable").reshape(-1, width)

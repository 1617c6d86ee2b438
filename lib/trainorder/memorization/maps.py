"""Maps of the effect of a unit's position, on the unit's own loss and on held-out text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainorder.evaluation.outcomes import Outcomes
from trainorder.memorization.moves import ABSENCE, INSERTION, MOVES, SWAP

Floats = NDArray[np.float64]

OWN, SAME, OTHER = "own", "same", "other"
QUANTITIES = (OWN, SAME, OTHER)
MAPS = (SWAP, INSERTION, "presence")  # by the two schedules that are compared


def quantities(
    own: Floats,
    heldout: Floats,
    domains: Sequence[str],
    unit_domains: Sequence[str],
    units: Sequence[int],
) -> dict[str, Floats]:
    """Return three losses of n outcomes, each about one unit, in nats per token.

    Memorization is the loss on the unit itself (`own`). Generalization is the held-out loss of its
    domain (`same`) and of the other domains (`other`). A mixed unit belongs to all domains, so it
    has no other domains.

    Args:
        own: (n,) loss on the unit of the outcome.
        heldout: (n, D) held-out losses of the domains.
        domains: names of the D domains.
        unit_domains: domain of each unit.
        units: unit of each of the n outcomes.

    Returns:
        (n,) by quantity; NaN where a mixed unit has no value.

    """
    inside = np.array([[unit_domains[unit] == name for name in domains] for unit in units])
    mixed = ~inside.any(axis=1)
    inside[mixed] = True
    with np.errstate(invalid="ignore"):
        same = (heldout * inside).sum(1) / inside.sum(1)
        other = (heldout * ~inside).sum(1) / (~inside).sum(1)
    return {OWN: own, SAME: same, OTHER: other}


def position_effects(moved: Mapping[str, Floats], base: Floats) -> dict[str, Floats]:
    """Return the maps (...) of one quantity by name.

    Args:
        moved: (...) values by move.
        base: (...) the value for the same unit in the order without a move.

    Returns:
        `swap` and `insertion`: the value minus that without a move. `presence`: insertion minus
        absence, that is, the effect of the unit beyond that of another unit of its domain.

    """
    return {
        SWAP: moved[SWAP] - base,
        INSERTION: moved[INSERTION] - base,
        "presence": moved[INSERTION] - moved[ABSENCE],
    }


Maps = dict[str, dict[str, Floats]]  # (U, T) by quantity and name


def estimated_maps(
    arrays: Mapping[str, Floats], domains: Sequence[str], unit_domains: Sequence[str]
) -> Maps:
    """Return the maps of an estimate.

    Args:
        arrays: `own_base` (U,), `heldout_base` (U, D), and for each move `own_<move>` (U, T) and
            `heldout_<move>` (U, T, D), in nats per token.
        domains: names of the D domains.
        unit_domains: domain of each unit.

    """
    units = np.arange(len(unit_domains))
    base = quantities(
        arrays["own_base"], arrays["heldout_base"], domains, unit_domains, units.tolist()
    )
    moved = {}
    for move in MOVES:
        own = arrays[f"own_{move}"]
        about = np.repeat(units, own.shape[1]).tolist()
        flat = arrays[f"heldout_{move}"].reshape(own.size, -1)
        losses = quantities(own.reshape(-1), flat, domains, unit_domains, about)
        moved[move] = {name: values.reshape(own.shape) for name, values in losses.items()}
    return _effects(moved, base)


def true_maps(
    truth: Outcomes,
    records: Sequence[Mapping[str, Any]],
    domains: Sequence[str],
    unit_domains: Sequence[str],
    steps: int,
) -> Maps:
    """Return the maps of true retraining, NaN in the cells that were not retrained.

    Args:
        truth: outcomes of the orders in `records`.
        records: records of `positions.json`: first the reference, then orders with their move
            (`kind`), the one unit in `units`, and the `step`.
        domains: names of the D domains.
        unit_domains: domain of each unit.
        steps: T.

    """
    columns = [truth.metrics.index(f"heldout/{name}") for name in domains]
    heldout, units = truth.value[:, columns], list(range(len(unit_domains)))
    row = {name: place for place, name in enumerate(truth.orders)}
    first = row[records[0]["name"]]
    repeated = np.tile(heldout[first], (len(units), 1))
    base = quantities(truth.unit_loss[first], repeated, domains, unit_domains, units)
    empty = np.full((len(units), steps), np.nan)
    moved = {move: {name: empty.copy() for name in QUANTITIES} for move in MOVES}
    for record in records[1:]:
        [unit], at = record["units"], row[record["name"]]
        own = truth.unit_loss[at, [unit]]
        losses = quantities(own, heldout[[at]], domains, unit_domains, [unit])
        for quantity, value in losses.items():
            moved[record["kind"]][quantity][unit, record["step"]] = value[0]
    return _effects(moved, base)


def _effects(moved: Mapping[str, Mapping[str, Floats]], base: Mapping[str, Floats]) -> Maps:
    return {
        quantity: position_effects(
            {move: moved[move][quantity] for move in MOVES}, base[quantity][:, None]
        )
        for quantity in QUANTITIES
    }

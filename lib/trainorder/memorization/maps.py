"""What putting units at steps does: to the unit's own loss, and to held-out text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainorder.evaluation.outcomes import Outcomes
from trainorder.memorization.moves import ABSENCE, INSERTION, SWAP
from trainorder.numerics.resampling import bootstrap_rank_correlation, finite

Floats = NDArray[np.float64]

OWN, SAME, OTHER = "own", "same", "other"
QUANTITIES = (OWN, SAME, OTHER)
WAYS = (SWAP, INSERTION, ABSENCE)
MAPS = (SWAP, INSERTION, "presence")  # by which schedules are compared


def quantities(
    own: Floats,
    heldout: Floats,
    domains: Sequence[str],
    unit_domains: Sequence[str],
    units: Sequence[int],
) -> dict[str, Floats]:
    """Return what is looked at in n outcomes, each about one unit, in nats per token.

    Memorization is the loss on the unit itself (`own`); generalization is the held-out loss of its
    domain (`same`) and of the others (`other`). A mixed unit is of all domains, and of no others.

    Args:
        own: (n,) loss of the outcome's unit.
        heldout: (n, D) losses of the domains.
        domains: D names.
        unit_domains: of all units.
        units: of each of the n outcomes.

    Returns:
        (n,) by quantity; NaN where there is none.

    """
    inside = np.array([[unit_domains[unit] == name for name in domains] for unit in units])
    mixed = ~inside.any(axis=1)
    inside[mixed] = True
    with np.errstate(invalid="ignore"):
        same = (heldout * inside).sum(1) / inside.sum(1)
        other = (heldout * ~inside).sum(1) / (~inside).sum(1)
    return {OWN: own, SAME: same, OTHER: other}


def effects(moved: Mapping[str, Floats], base: Floats) -> dict[str, Floats]:
    """Return the maps (...) of one quantity by name.

    Args:
        moved: (...) values by way of moving.
        base: (...) the value of the same unit in the order that nothing is moved in.

    Returns:
        `swap` and `insertion`: less the value where nothing is moved. `presence`: insertion less
        absence, what the unit itself does beyond another of its domain in its place.

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
        arrays: `own_base` (U,), `heldout_base` (U, D), and for each way of moving `own_<way>`
            (U, T) and `heldout_<way>` (U, T, D), in nats per token.
        domains: D names.
        unit_domains: of the units.

    """
    units = np.arange(len(unit_domains))
    base = quantities(
        arrays["own_base"], arrays["heldout_base"], domains, unit_domains, units.tolist()
    )
    moved = {}
    for way in WAYS:
        own = arrays[f"own_{way}"]
        about = np.repeat(units, own.shape[1]).tolist()
        flat = arrays[f"heldout_{way}"].reshape(own.size, -1)
        found = quantities(own.reshape(-1), flat, domains, unit_domains, about)
        moved[way] = {name: values.reshape(own.shape) for name, values in found.items()}
    return _effects(moved, base)


def true_maps(
    truth: Outcomes,
    records: Sequence[Mapping[str, Any]],
    domains: Sequence[str],
    unit_domains: Sequence[str],
    steps: int,
) -> Maps:
    """Return the maps of real retraining, NaN in the cells that were not retrained.

    Args:
        truth: of the orders that `records` describe.
        records: of `positions.json`: the reference, then orders with the `kind` of move, the one
            unit of `units`, and the `step`.
        domains: names.
        unit_domains: of the units.
        steps: T.

    """
    columns = [truth.metrics.index(f"heldout/{name}") for name in domains]
    heldout, units = truth.value[:, columns], list(range(len(unit_domains)))
    row = {name: place for place, name in enumerate(truth.orders)}
    first = row[records[0]["name"]]
    everywhere = np.tile(heldout[first], (len(units), 1))
    base = quantities(truth.unit_loss[first], everywhere, domains, unit_domains, units)
    empty = np.full((len(units), steps), np.nan)
    moved = {way: {name: empty.copy() for name in QUANTITIES} for way in WAYS}
    for record in records[1:]:
        [unit], at = record["units"], row[record["name"]]
        own = truth.unit_loss[at, [unit]]
        found = quantities(own, heldout[[at]], domains, unit_domains, [unit])
        for quantity, value in found.items():
            moved[record["kind"]][quantity][unit, record["step"]] = value[0]
    return _effects(moved, base)


def _effects(moved: Mapping[str, Mapping[str, Floats]], base: Mapping[str, Floats]) -> Maps:
    return {
        quantity: effects({way: moved[way][quantity] for way in WAYS}, base[quantity][:, None])
        for quantity in QUANTITIES
    }


def agreement(
    estimated: Floats, true: Floats, resamples: int, confidence: float, seed: int
) -> dict[str, float | int | None]:
    """Compare an estimated map with the true one in the cells that were retrained.

    Args:
        estimated: (U, T).
        true: (U, T), NaN in the cells that were not.
        resamples: bootstrap resamples of the cells.
        confidence: of the interval.
        seed: of the resampling.

    Returns:
        Spearman's correlation with its interval, the mean square error, and the same as a share of
        the variance of the truth (1 is as good as no map).

    """
    there = np.isfinite(true)
    found, wanted = estimated[there], true[there]
    interval = bootstrap_rank_correlation(found, wanted, resamples, confidence, seed)
    mse = float(np.mean((found - wanted) ** 2)) if len(wanted) else None
    variance = float(wanted.var()) if len(wanted) else 0.0
    return {
        **interval._asdict(),
        "mse": mse,
        "relative_mse": finite(mse / variance) if mse is not None and variance else None,
    }

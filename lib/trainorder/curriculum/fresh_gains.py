"""Gains in fresh retrainings: with other initial weights, and evaluated on other held-out text.

The winner of a search is the lowest of many true objectives, so part of its gain is luck of the
weights and of the held-out text that chose it (the winner's curse). Fresh retrainings have no part
in the choice, so the gain that remains in them is due to the order. A random order that is chosen
by its objective loses in the same way. Therefore the baseline is chosen by the study, too, and only
the random orders that are best in the study are retrained afresh for it.
"""

from collections.abc import Mapping, Sequence
from math import comb
from typing import Any

import numpy as np

from trainorder.numerics.resampling import rank_correlation

# Number of random orders, the best ones of the study, that can be the baseline. The best of a
# quarter of all random orders is one of them with a probability of 0.9, that of a half with 0.996.
BEST = 8


def fresh_gains(
    fresh: Mapping[str, float],
    true: Mapping[str, float],
    winner: str,
    random: Sequence[str],
    sample: Sequence[str],
    n: int,
) -> dict[str, Any]:
    """Return the gains of the winner in one set of fresh retrainings.

    Args:
        fresh: objective by order in the fresh retrainings.
        true: objective by order in the study, by which orders were chosen.
        winner: the winner of the search.
        random: names of the random orders of the study.
        sample: those of them whose mean and standard deviation are the baseline and the unit.
        n: number of random orders that the compute of the search retrains.

    Returns:
        `winner` (its objective), the random orders (`n`, `mean`, `std`), the rank correlation
        `agreement` of their objectives here and in the study, and the `gains` as in
        `curriculum.json`: over their mean, and over the one that is the best of n in the study. If
        the study has fewer than n, it is the best of all; `compute` has both numbers.

    """
    here, there = (np.array([values[name] for name in sample]) for values in (fresh, true))
    results = np.array([fresh.get(name, np.nan) for name in random])
    spread = float(here.std(ddof=1))
    baselines = {
        "random_mean": float(here.mean()),
        "same_compute": expected_choice([true[name] for name in random], results, n),
    }
    return {
        "winner": fresh[winner],
        "random": {"n": len(here), "mean": float(here.mean()), "std": spread},
        "agreement": rank_correlation(there, here),
        "compute": {"random_orders_for_it": n, "random_orders_had": len(random)},
        "gains": {
            name: {"value": value - fresh[winner], "in_spreads": (value - fresh[winner]) / spread}
            for name, value in baselines.items()
        },
    }


def shortfall(compute: Mapping[str, int]) -> str | None:
    """Return a sentence if there were fewer random orders than the compute retrains, else None.

    Args:
        compute: with `random_orders_for_it` and `random_orders_had`.

    Examples:
        >>> shortfall({"random_orders_for_it": 40, "random_orders_had": 16})
        'the baseline of the same compute is the best of 16 random orders, not of 40'

    """
    wanted, had = compute["random_orders_for_it"], compute["random_orders_had"]
    if wanted <= had:
        return None
    return f"the baseline of the same compute is the best of {had} random orders, not of {wanted}"


def expected_choice(values: Sequence[float] | np.ndarray, results: np.ndarray, n: int) -> float:
    """Return the expected result of the lowest of `n` values, drawn without replacement.

    The i-th lowest of m values is the lowest of n with probability C(m - i, n - 1) / C(m, n). Where
    results are unknown, only the values below the first of those count, so the expectation is a
    little too low.

    Args:
        values: (m,), by which the lowest is chosen.
        results: (m,) result of each, NaN where unknown; not that of the lowest value. `values`
            themselves give the expected lowest value.
        n: number of values that are drawn; at least m gives the result of the lowest.

    Examples:
        >>> expected_choice([1.0, 2.0, 3.0], np.array([5.0, 6.0, 7.0]), 3)
        5.0

    """
    ranked, m = np.argsort(values, kind="stable"), len(values)
    n = min(n, m)
    known = np.cumprod(np.isfinite(results[ranked]))  # 1 up to the first unknown result
    chances = known * [comb(m - 1 - i, n - 1) / comb(m, n) for i in range(m)]
    return float(np.dot(chances, np.where(known, results[ranked], 0.0)) / chances.sum())

"""How much better the estimator of a study's ladder ranks random orders than each other one."""

from typing import Any

import numpy as np

from bench.paired import difference_interval, resampled_orders
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.results import Results
from trainorder.numerics.resampling import rank_correlations, worst_if_non_finite
from trainorder.orders.order import HELD_BACK

LEAST_ORDERS = 3  # a rank correlation of fewer is undefined


def rank_gains(results: Results) -> dict[str, dict[str, Any]]:
    """Return the order-LDS of the ladder's estimator minus that of each other one, by its name.

    Both are compared on the random orders that both estimate. The interval is from paired resamples
    of these orders. Estimators that ignore the order rank nothing, so they have no gain; a study
    without a ladder has none either.
    """
    if not results.ladder:
        return {}
    ours = results.ladder["estimator"]
    gains = {}
    for name in results.estimators:
        if name == ours or EstimatorConfig.from_name(name).descriptor.ignores_order:
            continue
        orders = [
            order
            for order in results.orders
            if results.split(order) == HELD_BACK
            and order in results.raw.get(ours, ())
            and order in results.raw.get(name, ())
        ]
        if len(orders) >= LEAST_ORDERS:
            gains[name] = _gain(results, orders, (ours, name))
    return gains


def _gain(results: Results, orders: list[str], names: tuple[str, str]) -> dict[str, Any]:
    """Return the interval of the difference of two estimators on some orders."""
    every = resampled_orders(len(orders))
    true = worst_if_non_finite([results.truth[order][MAIN_METRIC] for order in orders])
    ranks = [
        rank_correlations(
            worst_if_non_finite([results.raw[name][order][MAIN_METRIC] for order in orders])[every],
            true[every],
        )
        for name in names
    ]
    return difference_interval(np.subtract(*ranks), len(orders))._asdict()

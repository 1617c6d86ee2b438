"""One estimator's outcomes beside the true outcomes of the same orders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainorder.evaluation.outcomes import Floats, Outcomes
from trainorder.numerics.resampling import worst_if_non_finite
from trainorder.orders.order import CALIBRATION, REFERENCE


@dataclass(frozen=True)
class PairedOutcomes:
    """One estimator's outcomes beside the truth of the same O orders, without the reference.

    Attributes:
        name: of the estimator.
        estimate: all its outcomes, the reference included.
        orders: O names.
        splits: (O,) the split of each order.
        value: (O, M) estimated metrics, as the estimator gives them (raw).
        true: (O, M) true metrics.
        no_effect: (O, M) what "the order has no effect" predicts: the mean true metrics of the
            study's calibration orders, without the order itself; NaN without calibration orders.
        parameter_error: (O,) distance of estimated and true final parameters, over the distance
            of the true ones from the reference's; NaN where it is undefined.

    """

    name: str
    estimate: Outcomes
    orders: list[str]
    splits: np.ndarray
    value: Floats
    true: Floats
    no_effect: Floats
    parameter_error: Floats

    def rows_of(self, split: str) -> np.ndarray:
        """Return the rows of the orders in `split`."""
        return np.flatnonzero(self.splits == split)


def pair_with_truth(
    name: str,
    estimate: Outcomes,
    truth: Outcomes,
    splits: Mapping[str, str],
    *,
    has_parameters: bool,
) -> PairedOutcomes:
    """Return an estimator's outcomes beside the truth.

    Args:
        name: of the estimator.
        estimate: its outcomes.
        truth: the true outcomes of at least the same orders.
        splits: the split of each order.
        has_parameters: whether it estimates parameters; without them, `parameter_error` is NaN.

    """
    orders = [order for order in estimate.orders if order != REFERENCE]
    estimate_rows, true_rows = estimate.rows(orders), truth.rows(orders)
    reference = truth.rows([REFERENCE])[0]
    error = relative_norm(
        estimate.sketch[estimate_rows] - truth.sketch[true_rows],
        truth.sketch[true_rows] - truth.sketch[reference],
    )
    return PairedOutcomes(
        name=name,
        estimate=estimate,
        orders=orders,
        splits=np.array([splits[order] for order in orders]),
        value=estimate.value[estimate_rows],
        true=truth.value[true_rows],
        no_effect=_means_without(orders, truth, splits),
        parameter_error=error if has_parameters else np.full_like(error, np.nan),
    )


def _means_without(orders: Sequence[str], truth: Outcomes, splits: Mapping[str, str]) -> Floats:
    """Return for each order the mean truth (M,) of the calibration orders other than itself."""
    calibration = np.array([splits[order] == CALIBRATION for order in truth.orders], bool)
    means = np.full((len(orders), len(truth.metrics)), np.nan)
    for row, order in enumerate(orders):
        others = calibration & (np.array(truth.orders) != order)
        if others.any():
            means[row] = truth.value[others].mean(axis=0)
    return means


def relative_norm(difference: Floats, base: Floats) -> Floats:
    """Return |difference| / |base| over the last axis; +inf if diverged, NaN for a base of zero."""
    with np.errstate(over="ignore", invalid="ignore"):
        above = worst_if_non_finite(np.linalg.norm(difference, axis=-1))
        below = np.broadcast_to(np.linalg.norm(base, axis=-1), above.shape)
        ratio = np.full(above.shape, np.nan)
        np.divide(above, below, out=ratio, where=below > 0)
    return ratio

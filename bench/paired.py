"""Paired resamples of orders: two estimators are compared on the same ones."""

import numpy as np
from numpy.typing import NDArray

from trainorder.numerics.resampling import Floats, Interval, percentiles

CONFIDENCE, RESAMPLES, SEED = 0.95, 2000, 0


def resampled_orders(n: int) -> NDArray[np.int64]:
    """Return the indices (1 + RESAMPLES, n) of n orders; the first row is the sample itself."""
    index = np.random.default_rng(SEED).integers(n, size=(RESAMPLES, n))
    return np.concatenate([np.arange(n)[None], index])


def difference_interval(values: Floats, n: int) -> Interval:
    """Return the interval of a difference from its values on the rows of `resampled_orders`.

    Args:
        values: (1 + RESAMPLES,); a resample without a value is dropped.
        n: number of orders.

    Returns:
        The interval; value, low and high are None if the sample itself has no value.

    """
    if np.isnan(values[0]):
        return Interval(None, None, None, n)
    drawn = values[1:]
    return Interval(float(values[0]), *percentiles(drawn[~np.isnan(drawn)], CONFIDENCE), n)

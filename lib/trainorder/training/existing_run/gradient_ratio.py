"""The factor between two vectors of gradients, with its uncertainty."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from torch import Tensor

from trainorder.numerics import large_tensors

_GROUPS = 16  # groups of parameters whose factors show the uncertainty
_ERRORS = 4  # standard errors within which two factors are not told apart
_ROUNDING = 1e-5  # relative difference up to which factors count as equal in any case


class Ratio(NamedTuple):
    """A factor and its standard error."""

    value: float
    error: float

    def is_compatible(self, value: float) -> bool:
        """Return whether the factor may be `value`."""
        return abs(self.value - value) <= max(_ERRORS * self.error, _ROUNDING * value)


def gradient_ratio(found: Tensor, true: Tensor) -> Ratio | None:
    """Return the factor r that minimizes |r found - true|^2: <found, true> / |found|^2.

    The standard error is that of the delete-one jackknife (Efron and Tibshirani 1993, chapter 11)
    over groups of consecutive parameters. Noise of the gradients differs between groups, a constant
    factor does not.

    Args:
        found: (P,).
        true: (P,).

    Returns:
        The ratio; None if it is not a positive number.

    Examples:
        >>> import torch
        >>> found = torch.arange(1.0, 33.0)
        >>> ratio = gradient_ratio(found, 0.5 * found)
        >>> ratio.value, ratio.is_compatible(0.5), ratio.is_compatible(0.51)
        (0.5, True, False)

    """
    products, squares = _sums(found, true).T
    values = (products.sum() - products) / (squares.sum() - squares)
    value = float(products.sum() / squares.sum())
    count = len(values)
    error = float(np.sqrt((count - 1) / count * np.square(values - values.mean()).sum()))
    return Ratio(value, error) if value > 0 and np.isfinite([value, error]).all() else None


def _sums(found: Tensor, true: Tensor) -> np.ndarray:
    """Return <found, true> and |found|^2 of each group, (groups, 2)."""
    size = len(found)
    edges = np.linspace(0, size, min(_GROUPS, size) + 1).astype(int)
    rows = []
    for start, end in pairwise(edges):
        ours, theirs = (vector[start:end][None] for vector in (found, true))
        pairs = ((ours, theirs), (ours, ours))
        rows.append([float(large_tensors.inner_products(*pair)) for pair in pairs])
    return np.array(rows)

"""`ridge`: ridge regression of the metrics on position features. A baseline that trains nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# From no fit at all to hardly any penalty, in units of the largest squared singular value. The
# largest comes first, so that it wins a tie.
PENALTIES = np.logspace(2, -8, 41)


@dataclass(frozen=True)
class Ridge:
    """y = intercept + (x - centre) weights, one regression for each of M metrics.

    Attributes:
        centre: (F,), the mean features of the orders it was fitted on.
        intercept: (M,), their mean metrics.
        weights: (F, M).
        penalty: (M,), the penalty on the squared weights that was chosen for each metric.

    """

    centre: Floats
    intercept: Floats
    weights: Floats
    penalty: Floats

    def predict(self, features: Floats) -> Floats:
        """Return the metrics (O, M) that `features` (O, F) lead to."""
        return self.intercept + (features - self.centre) @ self.weights


def fit_ridge(features: Floats, metrics: Floats) -> Ridge:
    """Fit `metrics` (O, M) on `features` (O, F), with the penalty that leaves out one best.

    With the hat matrix H of a penalty, the error on an order left out is r_i / (1 - H_ii), r_i its
    residual when it is not left out: exact, without a fit for each (Allen 1974, PRESS). The
    intercept is not penalised.
    """
    centre, mean = features.mean(0), metrics.mean(0)
    left, singular, right = np.linalg.svd(features - centre, full_matrices=False)
    square = singular**2
    penalties = PENALTIES * (square[0] or 1.0)
    centred = metrics - mean
    errors = np.stack([_left_out(left, square, centred, penalty) for penalty in penalties])
    penalty = penalties[(errors**2).mean(1).argmin(0)]
    shrink = singular[:, None] / (square[:, None] + penalty)
    return Ridge(centre, mean, right.T @ (shrink * (left.T @ centred)), penalty)


def _left_out(left: Floats, square: Floats, centred: Floats, penalty: float) -> Floats:
    """Return the error of each order when it is left out, (O, M)."""
    share = square / (square + penalty)
    residual = centred - left @ (share[:, None] * (left.T @ centred))
    leverage = 1 / len(left) + left**2 @ share
    return np.asarray(residual / (1 - leverage)[:, None], dtype=np.float64)

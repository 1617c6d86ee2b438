"""`ridge`: ridge regression of the metrics on position features. A baseline without training."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.linear_model import RidgeCV

Floats = NDArray[np.float64]

# From almost no fit to almost no penalty, in units of the largest squared singular value. The
# largest comes first, because the first one wins a tie.
PENALTIES = np.logspace(2, -8, 41)


def fit_ridge(features: Floats, metrics: Floats) -> "RidgeCV":
    """Return the ridge regression of `metrics` (O, M) on `features` (O, F).

    The penalty of each metric is the one with the smallest leave-one-out error, which is computed
    in closed form (Allen 1974, PRESS). The intercept is not penalized.
    """
    from sklearn.linear_model import RidgeCV  # takes seconds to import

    largest = np.linalg.svd(features - features.mean(0), compute_uv=False)[0] ** 2
    penalties = PENALTIES * (largest or 1.0)
    return RidgeCV(alphas=penalties, alpha_per_target=True, gcv_mode="svd").fit(features, metrics)

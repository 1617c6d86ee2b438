"""`proxy`: a narrower model retrained for real on every order. A baseline that is all training.

It takes the optimizer of the model it stands for, and its very learning rate. Rules that scale a
rate with the width differ between Adam and SGD (Yang et al. 2022, arXiv 2203.03466) and are for
other initialisations than this one; none is applied, with either.
"""

import numpy as np
from numpy.typing import NDArray

from trainorder.config.sections import ModelConfig

Floats = NDArray[np.float64]

NARROWER = 4


def narrowed(model: ModelConfig) -> ModelConfig:
    """Return a quarter of the width, in as many layers and heads; each head keeps 2 or more."""
    step = 2 * model.heads  # rotary embeddings turn pairs of a head
    hidden = max(step, model.hidden_size // NARROWER // step * step)
    intermediate = max(step, model.intermediate_size // NARROWER)
    return ModelConfig(hidden, intermediate, model.layers, model.heads)


def rescaled(value: Floats, fitted_on: Floats, true: Floats) -> Floats:
    """Bring the proxy's metrics to the scale of the model it stands for.

    Least squares for each metric; one that is the same for all orders fitted on has slope 0. Ranks
    stay the proxy's own, unless it ranks the orders fitted on the wrong way round.

    Args:
        value: (O, M), the proxy's metrics of the orders to estimate.
        fitted_on: (N, M), its metrics of the orders to fit on.
        true: (N, M), the metrics of the model itself on those.

    Returns:
        (O, M).

    """
    x, y = fitted_on - fitted_on.mean(0), true - true.mean(0)
    variance = (x**2).sum(0)
    slope = np.divide((x * y).sum(0), variance, out=np.zeros_like(variance), where=variance > 0)
    return np.asarray(true.mean(0) + slope * (value - fitted_on.mean(0)), dtype=np.float64)

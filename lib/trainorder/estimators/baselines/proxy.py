"""`proxy`: a narrower model, retrained on every order. A baseline that consists of training alone.

The proxy uses the optimizer and the learning rate of the study's model. Rules that scale the rate
with the width differ between Adam and SGD (Yang et al. 2022, arXiv 2203.03466) and assume another
initialization than this one, so none is applied.
"""

import numpy as np
from numpy.typing import NDArray

from trainorder.config.sections.model import ModelConfig

Floats = NDArray[np.float64]

NARROWER = 4  # width of the model over width of the proxy


def narrowed(model: ModelConfig) -> ModelConfig:
    """Return a model of a quarter of the width, with the same layers and heads.

    Each head keeps at least 2 dimensions, because rotary embeddings rotate pairs of them.
    """
    multiple = 2 * model.heads
    hidden = max(multiple, model.hidden_size // NARROWER // multiple * multiple)
    intermediate = max(multiple, model.intermediate_size // NARROWER)
    return ModelConfig(
        hidden_size=hidden, intermediate_size=intermediate, layers=model.layers, heads=model.heads
    )


def rescaled(value: Floats, fitted_on: Floats, true: Floats) -> Floats:
    """Return the proxy's metrics, mapped to the scale of the study's model by least squares.

    Each metric has its own intercept and slope. The slope is 0 where all fitted values are equal.
    Ranks are those of the proxy, or their reverse if the slope is negative.

    Args:
        value: (O, M), metrics of the proxy for the orders to estimate.
        fitted_on: (N, M), metrics of the proxy for the orders to fit on.
        true: (N, M), metrics of the study's model for the orders to fit on.

    Returns:
        (O, M) float64.

    """
    x, y = fitted_on - fitted_on.mean(0), true - true.mean(0)
    variance = (x**2).sum(0)
    slope = np.divide((x * y).sum(0), variance, out=np.zeros_like(variance), where=variance > 0)
    return np.asarray(true.mean(0) + slope * (value - fitted_on.mean(0)), dtype=np.float64)

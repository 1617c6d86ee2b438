"""Intervals of scores and of estimates."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from trainorder.config.types import CLOSED, Integer, Probability


@dataclass(frozen=True, config=CLOSED)
class ValidationConfig:
    """Intervals of scores and of estimates."""

    resamples: Annotated[Integer, Field(ge=100)] = 2000
    """Bootstrap resamples."""
    confidence: Probability = 0.95
    """Confidence of the bootstrap intervals."""
    coverage: Probability = 0.9
    """Coverage of the prediction intervals."""

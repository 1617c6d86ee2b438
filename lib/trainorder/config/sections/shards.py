"""The number of jobs that share the work of a stage."""

from pydantic.dataclasses import dataclass

from trainorder.config.types import CLOSED, Positive


@dataclass(frozen=True, config=CLOSED)
class ShardsConfig:
    """Number of jobs that share the work of a stage."""

    table: Positive = 1
    """The gradient table of the reference path."""
    truth: Positive = 2
    """True retraining."""
    curvature: Positive = 1
    """The units' own curvature."""
    estimate: Positive = 1
    """Expensive estimators: taylor1, taylor2, subsample, corrected, and any with a tail."""

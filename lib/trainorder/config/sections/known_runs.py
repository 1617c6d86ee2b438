"""What the estimators that correct by known runs need: their runs and the sizes of residuals."""

from collections.abc import Collection

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.ladder import LadderConfig
from trainorder.config.sections.window import WindowConfig


def known_run_count(estimators: Collection[EstimatorConfig]) -> int:
    """Return the number of calibration orders whose retraining is recorded as a known run."""
    return max((estimator.runs for estimator in estimators), default=0)


def residual_sizes(
    estimators: Collection[EstimatorConfig], window: WindowConfig, ladder: LadderConfig
) -> list[int]:
    """Return the sizes of the subsamples whose residuals estimators read, from the smallest."""
    sizes = [e.residual_sizes(window, ladder) for e in estimators if e.descriptor.needs_run]
    return sorted({size for each in sizes for size in each})


def smallest_corrected_size(
    estimators: Collection[EstimatorConfig], window: WindowConfig, ladder: LadderConfig
) -> int | None:
    """Return the smallest size that an estimator with known runs tries; None without one."""
    corrected = [e for e in estimators if e.descriptor.needs_run]
    return min((e.size or ladder.sizes(window)[0] for e in corrected), default=None)

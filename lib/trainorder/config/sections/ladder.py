"""The sizes and ranks that are tried on the calibration orders."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from trainorder.config.sections.sizes import sampled_from
from trainorder.config.sections.window import WindowConfig
from trainorder.config.types import CLOSED, Number, PositiveNumber


@dataclass(frozen=True, config=CLOSED)
class LadderConfig:
    """Sizes and ranks that are tried on the calibration orders, the cheapest first."""

    per_order: Annotated[Number, Field(gt=0, le=1)] = 0.34
    """For an estimator without size: largest cost of an estimate, in retrainings."""
    relative_error: Annotated[Number, Field(gt=0)] = 0.5
    """For an estimator without size: a trusted size with at most this relative error is enough. The
    default is that of the verdict."""
    precompute: PositiveNumber = 16.0
    """For curvature.rank auto: largest precompute of a low-rank estimator, in retrainings."""

    def sizes(self, window: WindowConfig) -> list[int]:
        """Return the sizes to try: 2, 4, 8, ... and the largest that `per_order` allows.

        Examples:
            >>> LadderConfig(per_order=0.34).sizes(WindowConfig(unit_size=64))
            [2, 4, 8, 16, 21]

        """
        most = max(1, int(self.per_order * sampled_from(window)))
        doubled = [2**power for power in range(1, most.bit_length()) if 2**power < most]
        return [*doubled, most]

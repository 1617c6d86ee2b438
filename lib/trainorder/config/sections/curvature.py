"""Low-rank curvature of clusters of units."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from trainorder.config.types import CLOSED, Integer, Natural, Number, Positive

MIN_RANK = 6  # probes of a study; the library itself takes fewer


@dataclass(frozen=True, config=CLOSED)
class CurvatureConfig:
    """Low-rank curvature of clusters of units, for nystrom, subsample and reduced."""

    clusters: Literal["domains"] | Positive = "domains"
    """domains, or a number of k-means clusters of the units' gradients."""
    anchors: Positive = 1
    """Steps of the path with probed curvature; other steps are interpolated."""
    rank: Literal["auto"] | Annotated[Positive, Field(json_schema_extra={"minimum": MIN_RANK})] = (
        "auto"
    )
    """Largest number of probes. auto: it grows while errors on the calibration orders fall, up to
    ladder.precompute."""
    tolerance: Annotated[Number, Field(ge=0)] = 0.1
    """Relative error at which probing stops early."""
    basis: Annotated[Integer, Field(ge=2)] = 192
    """Rank of the basis that is stored; with rank auto at least twice the number of probes."""
    unit_directions: Natural = 12
    """Directions in which each unit's own curvature is added. 0: none."""
    unit_sequences: Positive = 15
    """Sequences of each unit that measure its own curvature."""

    @property
    def rank_is_open(self) -> bool:
        """Whether errors on the calibration orders decide the rank."""
        return self.rank == "auto"

    def stored_rank(self, probes: int) -> int:
        """Return the largest rank of the basis that is stored, for a number of probes."""
        return max(self.basis, 2 * probes) if self.rank_is_open else self.basis

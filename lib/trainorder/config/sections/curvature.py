"""Low-rank curvature of clusters of units."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from trainorder.config.types import CLOSED, Integer, Natural, Number, Positive

MIN_RANK = 6  # probes of a study; the library itself takes fewer
FIRST_POOL = 20  # sequences of each pool, with pool: auto, before pools grow


@dataclass(frozen=True, config=CLOSED)
class CurvatureConfig:
    """Low-rank curvature of clusters of units, for nystrom, subsample and reduced."""

    clusters: Literal["domains"] | Positive = "domains"
    """domains, or a number of k-means clusters of the units' gradients."""
    pool: Literal["auto"] | Annotated[Integer, Field(ge=2)] = "auto"
    """Sequences that represent each cluster. auto: 20; with rank auto, more where their noise is
    the largest measured error."""
    anchors: Literal["auto"] | Positive = "auto"
    """Steps of the path with probed curvature; other steps are interpolated. auto: 1; with rank
    auto, more where the change along the path is the largest measured error."""
    rank: Literal["auto"] | Annotated[Positive, Field(json_schema_extra={"minimum": MIN_RANK})] = (
        "auto"
    )
    """Largest number of probes. auto: it grows while errors on the calibration orders fall, up to
    ladder.precompute."""
    tolerance: Annotated[Number, Field(ge=0)] = 0.1
    """Largest measured error at which probing stops early."""
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

    @property
    def first_pool(self) -> int:
        """The number of sequences of a pool before pools grow."""
        return self.pool if isinstance(self.pool, int) else FIRST_POOL

    @property
    def first_anchors(self) -> int:
        """The number of steps that are probed at first."""
        return self.anchors if isinstance(self.anchors, int) else 1

    @property
    def pool_is_open(self) -> bool:
        """Whether measured errors decide the size of the pools."""
        return self.rank_is_open and self.pool == "auto"

    @property
    def anchors_are_open(self) -> bool:
        """Whether measured errors decide the number of probed steps."""
        return self.rank_is_open and self.anchors == "auto"

    def stored_rank(self, probes: int) -> int:
        """Return the largest rank of the basis that is stored, for a number of probes."""
        return max(self.basis, 2 * probes) if self.rank_is_open else self.basis

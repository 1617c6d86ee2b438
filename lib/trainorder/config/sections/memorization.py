"""Maps of how the position of a unit changes losses."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from trainorder.config.sections.window import WindowConfig
from trainorder.config.types import CLOSED, Integer


@dataclass(frozen=True, config=CLOSED)
class MemorizationConfig:
    """Maps of how a unit's position changes its own loss and that of others. null: no maps."""

    estimator: Literal["reduced@barycentre", "nystrom@barycentre"] = "reduced@barycentre"
    """Estimator of all positions of all units."""
    retrained: Annotated[Integer, Field(ge=3)] = 8
    """Positions that are retrained, for each way to move a unit; at least 3 for an interval."""

    def cells(self, window: WindowConfig) -> int:
        """Return the number of cells of unit and step that are sampled."""
        return min(self.retrained, window.units * window.steps)

"""The gradient table along the barycentre path."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from trainorder.config.types import CLOSED, Integer, PositiveNumber


@dataclass(frozen=True, config=CLOSED)
class ExpansionConfig:
    """The gradient table along the barycentre path."""

    anchors: Literal["auto", "all"] | Annotated[Integer, Field(ge=2)] = "auto"
    """Steps with a gradient table; other steps are interpolated. auto (as the tolerance asks), all,
    or a number, which also holds for the reference path (by default at every step)."""
    tolerance: PositiveNumber = 0.01
    """For auto: relative error of the table half-way between anchors."""
    pool: Annotated[Integer, Field(ge=2)] = 20
    """Sequences that represent each cluster between anchors."""

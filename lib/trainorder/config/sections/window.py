"""The window: the steps under study and their units."""

from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from trainorder.config.types import CLOSED, Fraction, Integer, Natural, Positive

SHOWN_READOUTS = 8  # points of the explorer's curves of the losses along the window


@dataclass(frozen=True, config=CLOSED)
class WindowConfig:
    """The steps under study and the units that they consume."""

    warmup_steps: Natural = 600
    """Steps of mixed training before the window. 0: the window starts from scratch."""
    units: Annotated[Integer, Field(ge=2)] = 32
    """Number of units that are reordered."""
    unit_size: Positive = 64
    """Sequences of a unit, which stay together."""
    units_per_step: Positive = 1
    """Units that one optimizer step consumes."""
    epochs: Positive = 1
    """Passes over all units."""
    mixed_fraction: Fraction = 0.25
    """Share of the units that mix all domains."""
    poisoned: Natural = 0
    """Units whose text is poisoned: a part of each sequence is random tokens, see
    docs/positions.md. They replace units of single domains."""

    @model_validator(mode="after")
    def _check(self) -> "WindowConfig":
        if (self.units * self.epochs) % self.units_per_step:
            raise ValueError(
                f"units_per_step: {self.units} units x {self.epochs} epochs do not fill whole "
                f"steps of {self.units_per_step}; choose a divisor"
            )
        if self.units_per_step > self.units:
            raise ValueError(
                f"units_per_step: {self.units_per_step} is more than window.units ({self.units}); "
                "choose a smaller number"
            )
        clean = self.units - int(self.mixed_fraction * self.units + 0.5)
        if self.poisoned > clean:
            raise ValueError(
                f"poisoned: {self.poisoned} is more than the {clean} units of single domains; "
                "choose a smaller number, or lower mixed_fraction"
            )
        return self

    @property
    def steps(self) -> int:
        """T, the number of optimizer steps in the window."""
        return self.units * self.epochs // self.units_per_step

    @property
    def horizon(self) -> int:
        """Steps of warm-up training and window, which the schedule spans by default."""
        return self.warmup_steps + self.steps

    def readouts(self, count: int) -> list[int]:
        """Return `count` evenly spread numbers of updates, the last of them all T."""
        return [round(self.steps * (i + 1) / count) for i in range(count)]

    @property
    def readouts_along(self) -> list[int]:
        """The numbers of updates at which the explorer shows losses, the last of them all T."""
        return sorted({*self.readouts(SHOWN_READOUTS)} - {0})

    @property
    def sequences_per_step(self) -> int:
        """Sequences that one optimizer step consumes."""
        return self.unit_size * self.units_per_step

"""An existing run that is the reference of a study."""

from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from trainorder.config.types import (
    CLOSED,
    Natural,
    NonEmptyPath,
    Number,
    PathText,
    Positive,
    PositiveNumber,
)


@dataclass(frozen=True, config=CLOSED)
class RunConfig:
    """An existing run of yours, which becomes the reference; see docs/run.md."""

    checkpoints: PathText = ""
    """Folder of its `checkpoint-<step>` folders."""
    order: PathText = ""
    """File of the order in which it consumed the units of the window."""
    recording: NonEmptyPath | None = None
    """Folder of a record of it, which supplies checkpoints, order, corpus, model, optimizer and
    window."""
    start: Natural | None = None
    """With recording: updates before the window, where the record has a state. null: its first
    step."""
    steps: Positive | None = None
    """With recording: steps of the window. null: all from there on."""
    tolerance: Annotated[Number, Field(gt=0, le=1)] = 1.0e-3
    """Largest distance of a retrained checkpoint, relative to the way between checkpoints."""
    loss_scale: PositiveNumber | None = None
    """Factor between the gradients of the run and those of the mean loss. null: detected from the
    first two checkpoints."""

    @model_validator(mode="after")
    def _check(self) -> "RunConfig":
        if self.recording is None:
            for key in ("checkpoints", "order"):
                if not getattr(self, key):
                    raise ValueError(f"{key}: missing key; set it, or set `recording`")
            for key in ("start", "steps"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key}: only a recording has a part to choose; remove it")
        elif self.order or self.checkpoints not in ("", self.recording):
            key = "order" if self.order else "checkpoints"
            raise ValueError(f"{key}: the recording supplies it; remove this key")
        return self

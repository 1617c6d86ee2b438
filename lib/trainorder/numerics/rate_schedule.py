"""Learning-rate schedules as arithmetic: a linear warm-up, a plateau, and a decay."""

import math
from dataclasses import dataclass
from typing import Literal

Form = Literal["constant", "linear", "cosine", "1-sqrt"]


@dataclass(frozen=True)
class RateSchedule:
    """The learning rate by step.

    Attributes:
        form: form of the decay; `constant` has none.
        largest: the rate of the plateau.
        warmup: number of steps of the warm-up.
        decay_start: the first step of the decay.
        horizon: the step at which the decay ends.
        first: the rate of step 0 of the warm-up, as a share of the largest.
        final: the rate at the horizon and after it, as a share of the largest.

    Examples:
        >>> schedule = RateSchedule("linear", 2.0, warmup=2, decay_start=2, horizon=6)
        >>> [schedule.rate(step) for step in range(7)]
        [0.0, 1.0, 2.0, 1.5, 1.0, 0.5, 0.0]

    """

    form: Form
    largest: float
    warmup: int
    decay_start: int
    horizon: int
    first: float = 0.0
    final: float = 0.0

    def rate(self, step: int) -> float:
        """Return the learning rate of a 0-based step."""
        if step < self.warmup:
            return self.largest * self.first + (1 - self.first) * self.largest * step / self.warmup
        if self.form == "constant":
            return self.largest
        steps = max(1, self.horizon - self.decay_start)
        part = _remaining(self.form, min(max(0, step - self.decay_start), steps), steps)
        return self.largest * (self.final + (1 - self.final) * part)


def _remaining(form: Form, done: int, steps: int) -> float:
    """Return which part of a decay over `steps` steps remains after `done` of them."""
    if form == "linear":
        return 1 - done / steps
    if form == "1-sqrt":
        return 1 - math.sqrt(done / steps)
    return 0.5 * (1 + math.cos(math.pi * done / steps))

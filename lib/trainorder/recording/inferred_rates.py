"""The learning rates of a run of a `Trainer`, from the rates that its checkpoints and logs hold."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_ROUNDING = 1e-6  # difference of rates that count as equal, relative to the largest rate

Form = Callable[[int, int, int], float]  # maps step, warm-up steps and horizon to a share of 1


def sampled_rates(trainer_state: Mapping[str, Any]) -> dict[int, float]:
    """Return the learning rates in the log of a Trainer, by the step that used them."""
    entries = trainer_state.get("log_history")
    samples = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and {"step", "learning_rate"} <= entry.keys():
            samples[int(entry["step"]) - 1] = float(entry["learning_rate"])
    return samples


@dataclass(frozen=True)
class Schedule:
    """What is known of the learning rates of a run.

    Attributes:
        samples: known rates by step.
        largest: the largest rate.
        horizon: the number of steps of the run; 0 if it is unknown.

    """

    samples: Mapping[int, float]
    largest: float
    horizon: int

    def rates(self, steps: range) -> list[float] | None:
        """Return the learning rate of each step; None if the samples do not determine them.

        All schedules of transformers without further options are tried: constant, linear and
        cosine, with every length of a linear warm-up. The samples determine the rates if all
        schedules that agree with the samples agree in these steps, too.
        """
        if all(step in self.samples for step in steps):
            return [self.samples[step] for step in steps]
        agreeing = [
            [self.largest * form(step, warmup, self.horizon) for step in steps]
            for form in (_constant, _linear, _cosine)
            for warmup in range(self.horizon + 1)
            if self._agrees(form, warmup)
        ]
        if not agreeing or not self.horizon:
            return None
        spread = (max(rates) - min(rates) for rates in zip(*agreeing, strict=True))
        return agreeing[0] if max(spread) <= _ROUNDING * self.largest else None

    def _agrees(self, form: Form, warmup: int) -> bool:
        return all(
            abs(self.largest * form(step, warmup, self.horizon) - rate) <= _ROUNDING * self.largest
            for step, rate in self.samples.items()
        )


def _constant(step: int, warmup: int, horizon: int) -> float:
    return step / max(1, warmup) if step < warmup else 1.0


def _linear(step: int, warmup: int, horizon: int) -> float:
    if step < warmup:
        return step / max(1, warmup)
    return max(0.0, (horizon - step) / max(1, horizon - warmup))


def _cosine(step: int, warmup: int, horizon: int) -> float:
    if step < warmup:
        return step / max(1, warmup)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, horizon - warmup)))

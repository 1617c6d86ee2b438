"""The learning rates of a run of a `Trainer`, from the rates that its checkpoints and logs hold.

Since transformers 4.51 (pull request 36973), the log after n updates has the rate of the last of
them, step n - 1. Before, the Trainer logged after the scheduler had moved on: the rate of step n.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainorder.numerics.rate_schedule import Form, RateSchedule

_ROUNDING = 1e-6  # relative difference up to which two rates count as equal
_FIRST = (4, 51)  # the version that logs the rate which an update has used
_FORMS: tuple[Form, ...] = ("constant", "linear", "cosine")


@dataclass(frozen=True)
class KnownRates:
    """What is known of the learning rates of a run.

    Attributes:
        readings: known rates by step, one mapping for each reading of the log (see
            `rate_readings`), the most likely one first.
        largest: the largest rate.
        horizon: the number of steps of the run; 0 if it is unknown.
        trusts_first: whether the first reading decides if the rates do not.

    """

    readings: Sequence[Mapping[int, float]]
    largest: float
    horizon: int
    trusts_first: bool = False

    def rates(self, steps: range) -> list[float] | None:
        """Return the learning rate of each step; None if the readings do not determine them.

        All schedules of transformers without further options are tried: constant, linear and
        cosine, with every length of a linear warm-up. A reading with which one of them agrees
        excludes a reading with which none does. The rates are determined if all schedules that
        agree, or else all readings that contain these steps, have the same rates in these steps.
        """
        formed = [list(self._formed(reading, steps)) for reading in self.readings]
        if not any(formed):
            formed = [list(_sampled(reading, steps)) for reading in self.readings]
        rates = self._common([one for candidates in formed for one in candidates])
        if rates is None and self.trusts_first and formed:
            rates = self._common(formed[0])
        return rates

    def _formed(self, reading: Mapping[int, float], steps: range) -> Iterator[list[float]]:
        """Yield the rates of each schedule that agrees with a reading."""
        for form in _FORMS:
            for warmup in range(self.horizon + 1):
                schedule = RateSchedule(
                    form=form,
                    largest=self.largest,
                    warmup=warmup,
                    decay_start=warmup,
                    horizon=self.horizon,
                )
                if self._agrees(schedule, reading):
                    yield [schedule.rate(step) for step in steps]

    def _agrees(self, schedule: RateSchedule, reading: Mapping[int, float]) -> bool:
        if not self.horizon:
            return False
        allowed = _ROUNDING * self.largest
        return all(abs(schedule.rate(step) - rate) <= allowed for step, rate in reading.items())

    def _common(self, candidates: Sequence[list[float]]) -> list[float] | None:
        """Return the first candidate if all have the same rates; None if there is none."""
        if not candidates:
            return None
        spread = (max(rates) - min(rates) for rates in zip(*candidates, strict=True))
        return candidates[0] if max(spread) <= _ROUNDING * self.largest else None


def _sampled(reading: Mapping[int, float], steps: range) -> Iterator[list[float]]:
    if all(step in reading for step in steps):
        yield [reading[step] for step in steps]


def rate_readings(
    trainer_state: Mapping[str, Any], stored: Mapping[int, float], version: str | None
) -> list[dict[int, float]]:
    """Return the possible learning rates by step, the most likely reading of the log first.

    A reading that contradicts a stored rate is omitted.

    Args:
        trainer_state: the content of `trainer_state.json`.
        stored: the rate of the update after each checkpoint, from its scheduler.
        version: of transformers in the run, for example `4.48.1`; None if it is unknown.

    Examples:
        >>> log = {"log_history": [{"step": 2, "learning_rate": 0.8}]}
        >>> rate_readings(log, {}, "4.48.1")
        [{2: 0.8}, {1: 0.8}]
        >>> rate_readings(log, {2: 0.7}, "4.48.1")
        [{1: 0.8, 2: 0.7}]

    """
    logged = _logged(trainer_state)
    readings = []
    for shift in (0, 1) if _logs_after(version) else (1, 0):
        sampled = {count - shift: rate for count, rate in logged.items() if count >= shift}
        if all(_equal(sampled[step], stored[step]) for step in sampled.keys() & stored.keys()):
            readings.append({**sampled, **stored})
    return readings


def tells_the_logged_step(version: str | None) -> bool:
    """Return whether a version of transformers is known, so that it decides between readings."""
    return _numbers(version) is not None


def _logged(trainer_state: Mapping[str, Any]) -> dict[int, float]:
    """Return the logged rates by the number of updates at which they were logged."""
    entries = trainer_state.get("log_history")
    return {
        int(entry["step"]): float(entry["learning_rate"])
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and {"step", "learning_rate"} <= entry.keys()
    }


def _logs_after(version: str | None) -> bool:
    numbers = _numbers(version)
    return numbers is not None and numbers < _FIRST


def _numbers(version: str | None) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", version or "")
    return (int(match[1]), int(match[2])) if match else None


def _equal(first: float, second: float) -> bool:
    return abs(first - second) <= _ROUNDING * max(abs(first), abs(second))

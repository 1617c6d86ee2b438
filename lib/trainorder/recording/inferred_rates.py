"""The learning rates of a run of a `Trainer`, from the rates that its checkpoints and logs hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trainorder.numerics.rate_schedule import Form, RateSchedule

_ROUNDING = 1e-6  # difference of rates that count as equal, relative to the largest rate
_FORMS: tuple[Form, ...] = ("constant", "linear", "cosine")


@dataclass(frozen=True)
class Schedule:
    """What is known of the learning rates of a run.

    Attributes:
        readings: known rates by step, one mapping for each reading of the log (see
            `logged_rates.rate_readings`), the most likely one first.
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

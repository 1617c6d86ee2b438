"""A part of a record, which a study takes as its window."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainorder.errors import UserError
from trainorder.recording.record.equal_steps import ROUNDING, check_shapes, common_rate
from trainorder.recording.record.layout import recorded_states, recorded_steps, step_path
from trainorder.recording.record.steps import StepHeader, read_header


@dataclass(frozen=True)
class RecordedWindow:
    """Consecutive steps of the same shape: every micro-batch of a step is a unit.

    Attributes:
        steps: the numbers of the steps.
        units_per_step: the number of micro-batches of each step.
        unit_size: the number of sequences of each of them.
        length: the number of tokens of each sequence.
        rates: the learning rate of each step.
        loss_scale: that of the run, see `training.existing_run.loss_scale`; None if it is unknown.

    """

    steps: range
    units_per_step: int
    unit_size: int
    length: int
    rates: list[float]
    loss_scale: float | None

    @property
    def units(self) -> int:
        """The number of units; each is consumed once."""
        return len(self.steps) * self.units_per_step


def open_window(folder: str | Path, start: int | None, steps: int | None) -> RecordedWindow:
    """Return the window of a record.

    Args:
        folder: the record.
        start: the number of updates before the window; None: the first of the record.
        steps: the number of its steps; None: all from there on.

    Raises:
        UserError: the record does not have these steps or no state at the start, or the steps
            differ in what a study keeps constant.

    """
    numbers = _numbers(folder, start, steps)
    headers = [read_header(folder, number) for number in numbers]
    units_per_step, unit_size, length = _shape(folder, numbers, headers)
    return RecordedWindow(
        steps=numbers,
        units_per_step=units_per_step,
        unit_size=unit_size,
        length=length,
        rates=[
            common_rate(str(step_path(folder, number)), header.rates)
            for number, header in zip(numbers, headers, strict=True)
        ],
        loss_scale=_loss_scale(folder, [one.loss_scale for one in headers]),
    )


def _numbers(folder: str | Path, start: int | None, count: int | None) -> range:
    recorded, states = recorded_steps(folder), recorded_states(folder)
    if not recorded:
        raise UserError(f"{folder}: the record has no steps; record the run again")
    first = recorded.start if start is None else start
    if first not in states:
        raise UserError(
            f"run.start: {first}: the record {folder} has no state there; choose one of "
            f"{', '.join(map(str, [state for state in states if state in recorded]))}"
        )
    end = recorded.stop if count is None else first + count
    if not recorded.start <= first < end <= recorded.stop:
        raise UserError(
            f"run.steps: steps {first} to {end} are not in the record {folder}, which has "
            f"{recorded.start} to {recorded.stop}; lower it"
        )
    return range(first, end)


def _shape(
    folder: str | Path, numbers: Sequence[int], headers: Sequence[StepHeader]
) -> tuple[int, int, int]:
    """Return micro-batches of a step, sequences of each, and tokens of a sequence."""
    expected = headers[0].shapes[:1] * len(headers[0].shapes)
    for number, header in zip(numbers, headers, strict=True):
        check_shapes(str(step_path(folder, number)), header.shapes, expected)
    unit_size, length = expected[0]
    return len(expected), unit_size, length


def _loss_scale(folder: str | Path, loss_scales: Sequence[float | None]) -> float | None:
    known = [one for one in loss_scales if one is not None]
    if len(known) < len(loss_scales):
        return None
    if max(known) - min(known) > ROUNDING * max(known):
        raise UserError(
            f"{folder}: steps have loss scales of {min(known):g} to {max(known):g}, so their "
            "weights differ; a study needs one loss scale for all"
        )
    return 1.0 if abs(known[0] - 1) <= ROUNDING else known[0]

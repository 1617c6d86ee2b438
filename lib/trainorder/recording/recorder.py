"""Record a run from its training loop."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from torch import nn

from trainorder.errors import UserError
from trainorder.recording.accumulated_batches import AccumulatedBatches
from trainorder.recording.continuation import check_continues
from trainorder.recording.observed_settings import observed_settings
from trainorder.recording.observed_state import all_tensors, first_updates, moments, updates
from trainorder.recording.record.equal_steps import common_rate
from trainorder.recording.record.heldout import (
    heldout_arrays,
    heldout_path,
    publish_heldout,
    read_heldout,
)
from trainorder.recording.record.layout import recorded_states, recorded_steps
from trainorder.recording.record.ownership import check_own_folder
from trainorder.recording.record.removal import remove_after
from trainorder.recording.record.settings import (
    RecordedSettings,
    check_same_run,
    common_weight_decay,
    settings_path,
    write_settings,
)
from trainorder.recording.record.states import write_state
from trainorder.recording.record.steps import RecordedStep, read_step, write_step
from trainorder.recording.supported_runs import (
    check_deterministic,
    check_one_process,
    plain_model,
    plain_optimizer,
    trained_parameters,
)
from trainorder.recording.uniform_batches import UniformBatches


def needed_updates(start: int, end: int | None) -> tuple[int, str]:
    """Return the updates that a run needs for a record, and the argument that asks for them.

    >>> needed_updates(600, 632), needed_updates(600, None)
    ((632, 'end=632'), (601, 'start=600'))
    """
    return (start + 1, f"start={start}") if end is None else (end, f"end={end}")


class Recorder:
    """A context manager that records the updates of an optimizer, for a study of the run.

    Each update is written when it is done: the batches that it consumed, and its learning rates.
    Every few updates the state of the run is written. A run that is killed and resumed continues
    its record: what was recorded after the state that it resumes from is replaced.

    An update that does not happen is not recorded: if gradient scaling skips it, or if the loop
    clears the gradients before it, its batches are dropped. Steps count the updates that happened.

    If a study could not use an update, the recording ends with a warning before it, and the
    training continues. If this is so in the first update of the run, an error is raised.

    Examples:
        >>> with Recorder("record", model, optimizer, heldout=heldout) as record:  # doctest: +SKIP
        ...     for tokens in batches:
        ...         record.batch(tokens)
        ...         model(input_ids=tokens, labels=tokens).loss.backward()
        ...         optimizer.step()
        ...         optimizer.zero_grad()

    """

    def __init__(
        self,
        folder: str | Path,
        model: nn.Module,
        optimizer: Any,
        *,
        every: int = 10,
        start: int = 0,
        end: int | None = None,
        heldout: Any = None,
        gradient_clip: float | None = None,
    ) -> None:
        """Describe the recording; nothing is read or written before the context is entered.

        Args:
            folder: the record.
            model: the model, a causal language model of transformers.
            optimizer: the `torch.optim.AdamW` of its parameters, also as accelerate wraps it.
            every: the number of updates between two states.
            start: the number of updates after which the record starts.
            end: the number of updates after which it ends; None records to the end of the context.
            heldout: the sequences that orders are judged by, see `write_heldout`.
            gradient_clip: the largest norm to which the loop clips gradients; None: no clipping.

        """
        self.folder, self.every = Path(folder), every
        self.start, self.end = start, end
        self._given_model, self._given_optimizer = model, optimizer
        self._heldout, self._clip = heldout, gradient_clip
        self._divisor: float | None = None
        self._is_first, self._has_stopped = True, False

    def __enter__(self) -> "Recorder":
        """Start the record or continue it; see `attach`."""
        return self.attach()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the recording, with a last state unless an exception ends it."""
        try:
            if kind is None:
                self.finish()
                self._warn_if_short()
        finally:
            self.detach()

    def attach(self) -> "Recorder":
        """Check the run, start its record or continue it, and follow its updates.

        Raises:
            UserError: a study cannot train such a run again, the folder has the record of another
                run or other checkpoints, or it cannot be written.

        """
        check_one_process()
        self._model = plain_model(self._given_model)
        self._optimizer = plain_optimizer(self._given_optimizer)
        check_deterministic(self._model)
        settings = observed_settings(self._model, self._optimizer, self._clip)
        self.step = updates(self._optimizer)
        if self.end is None or self.step <= self.end:  # otherwise the record is complete
            self._open_record(settings)
        self._uniform = self._form_of_batches(settings.vocabulary)
        self._options, self._base = self._group_options(), settings.source
        self._states = recorded_states(self.folder)
        if self._is_recording:
            self._write_state()
        self._batches = AccumulatedBatches(list(trained_parameters(self._model).values()))
        self._hook = self._optimizer.register_step_post_hook(self._after_step)
        return self

    def finish(self) -> None:
        """Write the last state."""
        if self._is_recording:
            with self._ending_on_errors():
                self._write_state()

    def _warn_if_short(self) -> None:
        """Warn if the loop ended before the part that was to be recorded."""
        needed, wanted = needed_updates(self.start, self.end)
        if self.step < needed and not self._has_stopped:
            warnings.warn(
                f"{self.folder}: the loop ended after {self.step} updates, before {wanted}; the "
                "record has fewer steps, or none",
                RuntimeWarning,
                stacklevel=3,
            )

    def detach(self) -> None:
        """Stop following the updates."""
        self._hook.remove()
        self._batches.detach()

    def batch(
        self,
        tokens: Any,
        labels: Any = None,
        *,
        divisor: float | None = None,
        attention_mask: Any = None,
        position_ids: Any = None,
    ) -> None:
        """Note a micro-batch before its backward pass, which adds to the gradients of an update.

        Args:
            tokens: (n, L) integers, a tensor on any device or an array.
            labels: (n, L) integers as models of transformers take them, -100 where a token is no
                target; None if all are targets.
            divisor: the number by which the loop divides the sum of the losses over all targets of
                the update; None if it takes the mean, or if the number is unknown.
            attention_mask: (n, L), as the model takes it, to check where padding is; or None.
            position_ids: as the model takes them, to check that they are 0 to L - 1; or None.

        """
        self._divisor = divisor
        if not self._is_recording and not self._is_early:
            return
        inputs = {"attention_mask": attention_mask, "position_ids": position_ids}
        weighted = {"weights_tokens": divisor is not None}
        with self._ending_on_errors():
            batch = self._uniform.marked(tokens, labels, **weighted, **inputs)
            if self._is_recording:
                self._uniform.check_like_first(batch, **weighted)
                self._batches.note(batch)

    def _open_record(self, settings: RecordedSettings) -> None:
        """Write the settings of a new record, or remove what the resumed run will replace."""
        check_own_folder(self.folder)
        common_weight_decay("recording", settings)
        common_rate("recording", self._rates())
        heldout = None
        if self._heldout is not None:
            heldout = heldout_arrays(self._heldout, settings.vocabulary)
        if settings_path(self.folder).exists():
            check_same_run(self.folder, settings)
            check_continues(self.folder, self.step, self._model)
            remove_after(self.folder, self.step)
        write_settings(self.folder, settings)
        if heldout is not None:
            publish_heldout(self.folder, heldout)

    def _form_of_batches(self, vocabulary: int) -> UniformBatches:
        """Return the checks of micro-batches, with what the record has already."""
        steps, has_heldout = recorded_steps(self.folder), heldout_path(self.folder).is_file()
        return UniformBatches(
            vocabulary,
            next(iter(read_heldout(self.folder).values())) if has_heldout else None,
            read_step(self.folder, steps.start).batches if steps else (),
        )

    @property
    def _is_early(self) -> bool:
        """Whether the run is in its first update, before the part to record."""
        return self._is_first and self.step < self.start

    @property
    def _is_recording(self) -> bool:
        return not self._has_stopped and self.step >= self.start and not self._is_over

    @property
    def _is_over(self) -> bool:
        return self.end is not None and self.step >= self.end

    def _after_step(self, *_: Any) -> None:
        """Record the update that the optimizer has just done, unless it was skipped."""
        batches = self._batches.take()
        if first_updates(self._optimizer) == self.step:
            return
        if self._is_recording:
            with self._ending_on_errors():
                self._record(batches)
        self._is_first = False
        self.step += 1
        if self._is_due:
            with self._ending_on_errors():
                self._write_state()

    def _record(self, batches: Sequence[np.ndarray]) -> None:
        if not batches:
            raise UserError(
                "recording: the optimizer made an update without a batch; call "
                "record.batch(tokens) before each backward pass"
            )
        if self._group_options() != self._options:
            raise UserError("recording: betas, eps or weight_decay changed during the run")
        loss_scale = None
        if self._divisor is not None:
            loss_scale = sum(int((batch[:, 1:] >= 0).sum()) for batch in batches) / self._divisor
        rates = self._rates()
        common_rate("recording", rates)
        self._uniform.check_step(batches)
        write_step(self.folder, self.step, RecordedStep(batches, rates, loss_scale))

    def _rates(self) -> list[float]:
        """Return the present learning rate of each parameter group."""
        return [float(group["lr"]) for group in self._optimizer.param_groups]

    @property
    def _is_due(self) -> bool:
        """Whether the present state of the run is due to be written."""
        if self._has_stopped or self.step < self.start:
            return False
        if self._is_over:
            return self.step == self.end
        return not self._states or (self.step - self.start) % self.every == 0

    def _write_state(self) -> None:
        if self.step in self._states:
            return
        whole = not self._states and self._base is None  # adapters have a base model of their own
        write_state(
            self.folder,
            self.step,
            all_tensors(self._model) if whole else trained_parameters(self._model),
            moments(self._model, self._optimizer),
            config=self._model.config if whole else None,
        )
        self._states.append(self.step)

    def _group_options(self) -> list[tuple[Any, ...]]:
        """Return the options of each parameter group that a run may not change."""
        names = ("betas", "eps", "weight_decay")
        return [tuple(group[name] for name in names) for group in self._optimizer.param_groups]

    @contextmanager
    def _ending_on_errors(self) -> Iterator[None]:
        """End the recording on an error; raise it only before the first update has ended."""
        try:
            yield
        except UserError as error:
            self._has_stopped = True
            if self._is_first:
                raise
            warnings.warn(
                f"{self.folder}: the record ends after {self.step} updates: {error}; the training "
                "continues",
                RuntimeWarning,
                stacklevel=2,
            )

"""Record a run of the `Trainer` of transformers."""

from pathlib import Path
from typing import Any

from torch import nn
from transformers import TrainerCallback

from trainorder.errors import UserError
from trainorder.recording.observed_state import updates
from trainorder.recording.recorder import Recorder, needed_updates
from trainorder.recording.supported_runs import plain_model, plain_optimizer


class RecordingCallback(TrainerCallback):  # type: ignore[misc]
    """A callback that records the updates of a `Trainer`, as `Recorder` does for a loop.

    Batches are read where the model receives them. The largest norm of gradients comes from
    `max_grad_norm`.

    Examples:
        >>> from trainorder.recording import RecordingCallback
        >>> callback = RecordingCallback("record", every=10, heldout=data["test"])  # doctest: +SKIP
        >>> trainer.add_callback(callback)  # doctest: +SKIP

    """

    def __init__(
        self,
        folder: str | Path,
        *,
        every: int = 10,
        start: int = 0,
        end: int | None = None,
        heldout: Any = None,
    ) -> None:
        """Describe the recording, with the arguments of `Recorder`."""
        self._options = {"every": every, "start": start, "end": end, "heldout": heldout}
        self._folder = folder
        self._recorder: Recorder | None = None

    def on_train_begin(
        self, args: Any, state: Any, control: Any, *, model: Any, optimizer: Any, **_: Any
    ) -> None:
        """Start the record or continue it.

        Raises:
            UserError: a study cannot train such a run again, the folder has another run or is
                that of the Trainer, or the run is too short for the part that is to be recorded.

        """
        if Path(self._folder).resolve() == Path(args.output_dir).resolve():
            raise UserError(
                f"recording: {self._folder} is the output_dir of the Trainer, whose checkpoints "
                "have the same names as states of a record; choose another folder for the record"
            )
        if args.label_smoothing_factor:
            raise UserError("recording: label smoothing is not supported; set it to 0")
        if getattr(args, "neftune_noise_alpha", None):
            raise UserError("recording: noise of embeddings (NEFTune) is not supported; remove it")
        if args.n_gpu > 1:
            raise UserError(
                f"recording: {args.n_gpu} GPUs in one process see parts of each batch; only one "
                "is supported; set CUDA_VISIBLE_DEVICES"
            )
        self._check_part(state.max_steps)
        self._detach()
        done = updates(plain_optimizer(optimizer))
        has_skipped = args.fp16 and 0 < done < state.global_step  # the Trainer counts these steps
        if done != state.global_step and not has_skipped:
            raise UserError(
                f"recording: the Trainer is at step {state.global_step}, but its optimizer has "
                f"made {done} updates; resume from a checkpoint that has optimizer.pt"
            )
        clip = args.max_grad_norm or None
        recorder = Recorder(self._folder, model, optimizer, gradient_clip=clip, **self._options)
        self._recorder = recorder.attach()
        self._hook = plain_model(model).register_forward_pre_hook(self._see, with_kwargs=True)

    def _check_part(self, updates_of_run: int) -> None:
        """Raise if the run ends before the part that is to be recorded; called before it trains."""
        needed, wanted = needed_updates(self._options["start"], self._options["end"])
        if needed > updates_of_run:
            raise UserError(
                f"recording: {wanted}, but the Trainer makes {updates_of_run} updates; choose a "
                "part of them"
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the last state, before the Trainer may load another one at its end."""
        is_last = state.global_step >= state.max_steps or control.should_training_stop
        if self._recorder is not None and is_last:
            self._recorder.finish()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """End the record with the last state, unless the Trainer has loaded its best model."""
        if self._recorder is not None and not args.load_best_model_at_end:
            self._recorder.finish()
        self._detach()

    def _detach(self) -> None:
        """Take the hooks off the model and the optimizer."""
        if self._recorder is not None:
            self._recorder.detach()
            self._hook.remove()
            self._recorder = None

    def _see(self, module: nn.Module, _: Any, inputs: dict[str, Any]) -> None:
        """Note the micro-batch of a forward pass, unless it is an evaluation."""
        if self._recorder is not None and module.training:
            items = inputs.get("num_items_in_batch")
            divisor = None if items is None else float(items)
            self._recorder.batch(
                inputs.get("input_ids"),
                inputs.get("labels"),
                divisor=divisor,
                attention_mask=inputs.get("attention_mask"),
                position_ids=inputs.get("position_ids"),
            )

"""What one update of a run consumed and used."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from trainorder.errors import UserError
from trainorder.recording.record_files import step_path
from trainorder.recording.tensor_files import write_tensors
from trainorder.storage.atomic import publish
from trainorder.storage.safetensors_files import opened_safetensors

_TOKENS, _USED = "tokens-{}", "used"


@dataclass(frozen=True)
class RecordedStep:
    """One update.

    Attributes:
        batches: the micro-batches (n, L) int32 in the order of their gradients; a token that is no
            target is stored as its bitwise complement, as in `data.corpus.Corpus`.
        rates: the learning rate of each parameter group.
        loss_scale: the factor between the gradient of the run and that of the mean loss; None if
            it is unknown.

    """

    batches: Sequence[np.ndarray]
    rates: Sequence[float]
    loss_scale: float | None

    @property
    def shape(self) -> list[tuple[int, ...]]:
        """The shape (n, L) of each micro-batch."""
        return [batch.shape for batch in self.batches]


def write_step(folder: str | Path, number: int, step: RecordedStep) -> None:
    """Publish the update after `number` updates.

    Raises:
        UserError: the file cannot be written.

    """
    tensors = {_TOKENS.format(i): torch.from_numpy(b) for i, b in enumerate(step.batches)}
    # One entry, because safetensors stores several in random order.
    used = {"rates": list(step.rates), "loss_scale": step.loss_scale}
    metadata = {_USED: json.dumps(used)}
    with publish(step_path(folder, number)) as private:
        write_tensors(private, tensors, metadata)


def read_step(folder: str | Path, number: int) -> RecordedStep:
    """Return the update after `number` updates.

    Raises:
        UserError: the file is missing, damaged, or not that of a step.

    """
    path = step_path(folder, number)
    with opened_safetensors(path, "numpy") as file:
        names = set(file.keys())
        metadata = file.metadata() or {}
        batches = [file.get_tensor(_TOKENS.format(i)) for i in range(len(names))]
    try:
        used = json.loads(metadata[_USED])
        return RecordedStep(batches, used["rates"], used["loss_scale"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path}: not a step of a record; record the run again") from None

"""What one update of a run consumed and used."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from trainorder.errors import UserError
from trainorder.recording.record.layout import step_path
from trainorder.recording.record.tokens import METADATA, publish_arrays
from trainorder.storage.safetensors_files import opened_safetensors

_TOKENS = "tokens-{}"


@dataclass(frozen=True)
class RecordedStep:
    """One update.

    Attributes:
        batches: the micro-batches (n, L) int32 in the order of their gradients; a token that is no
            target is stored as its bitwise complement, as in `data.corpus.Corpus`.
        rates: the learning rate of each parameter group.
        loss_scale: the gradient of the run over that of the mean loss; None if it is unknown.

    """

    batches: Sequence[np.ndarray]
    rates: Sequence[float]
    loss_scale: float | None


@dataclass(frozen=True)
class StepHeader:
    """One update without its tokens.

    Attributes:
        shapes: the shape (n, L) of each micro-batch.
        rates: the learning rate of each parameter group.
        loss_scale: as in `RecordedStep`.

    """

    shapes: list[tuple[int, ...]]
    rates: list[float]
    loss_scale: float | None


def write_step(folder: str | Path, number: int, step: RecordedStep) -> None:
    """Publish the update after `number` updates.

    Raises:
        UserError: the file cannot be written.

    """
    arrays = {_TOKENS.format(i): batch for i, batch in enumerate(step.batches)}
    used = {"rates": list(step.rates), "loss_scale": step.loss_scale}
    publish_arrays(step_path(folder, number), arrays, json.dumps(used))


def read_step(folder: str | Path, number: int) -> RecordedStep:
    """Return the update after `number` updates.

    Raises:
        UserError: the file is missing, damaged, or not that of a step.

    """
    header = read_header(folder, number)
    with opened_safetensors(step_path(folder, number), "numpy") as file:
        batches = [file.get_tensor(_TOKENS.format(i)) for i in range(len(header.shapes))]
    return RecordedStep(batches, header.rates, header.loss_scale)


def read_header(folder: str | Path, number: int) -> StepHeader:
    """Return the update after `number` updates, without its tokens.

    Raises:
        UserError: the file is missing, damaged, or not that of a step.

    """
    path = step_path(folder, number)
    with opened_safetensors(path, "numpy") as file:
        count, metadata = len(set(file.keys())), file.metadata() or {}
        try:
            slices = [file.get_slice(_TOKENS.format(i)) for i in range(count)]
            used = json.loads(metadata[METADATA])
            shapes = [tuple(one.get_shape()) for one in slices]
            return StepHeader(shapes, list(used["rates"]), used["loss_scale"])
        except (KeyError, TypeError, ValueError, SafetensorError):
            raise UserError(f"{path}: not a step of a record; record the run again") from None

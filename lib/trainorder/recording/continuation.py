"""Whether a run that is resumed continues the record of a folder."""

from pathlib import Path

import torch
from torch import nn

from trainorder.errors import UserError
from trainorder.recording.record.layout import (
    PARAMETERS_FILE,
    checkpoint,
    recorded_states,
    recorded_steps,
)
from trainorder.recording.supported_runs import trained_parameters
from trainorder.storage.safetensors_files import opened_safetensors


def check_continues(folder: str | Path, step: int, model: nn.Module) -> None:
    """Check that a run resumed after `step` updates continues the record.

    The record must have all steps before `step`. If it has a state after `step` updates, the
    parameters must be the same. A run that resumes at the start of the record, or before, replaces
    the whole record.

    Raises:
        UserError: the record ends before `step`, or the parameters differ.

    """
    steps = recorded_steps(folder)
    if not steps or step <= steps.start:
        return
    if step > steps.stop:
        raise UserError(
            f"{folder}: the record ends after {steps.stop} updates, but the run resumes after "
            f"{step}; resume from an earlier state, or choose another folder"
        )
    if step not in recorded_states(folder):
        return
    path = checkpoint(folder, step) / PARAMETERS_FILE
    with opened_safetensors(path, "pt") as file:
        for name, parameter in trained_parameters(model).items():
            if not torch.equal(file.get_tensor(name), parameter.detach().cpu()):
                raise UserError(
                    f"{path}: `{name}` differs from that of the resumed run, so this is another "
                    "run; choose another folder, or delete this one"
                )

"""Whether a run that is resumed continues the record of a folder."""

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

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
    check_same_state(checkpoint(folder, step), trained_parameters(model).items())


def check_same_state(state: Path, parameters: Iterable[tuple[str, Tensor]]) -> None:
    """Check that a recorded state has the parameters of a run at this step.

    Args:
        state: the folder of the state.
        parameters: names and values of parameters of the run; others than those that the state has
            are not compared.

    Raises:
        UserError: a parameter differs.

    """
    path = state / PARAMETERS_FILE
    with opened_safetensors(path, "pt") as file:
        names = set(file.keys())
        for name, parameter in parameters:
            if name in names and not torch.equal(file.get_tensor(name), parameter.detach().cpu()):
                raise UserError(
                    f"{path}: `{name}` differs from that of this run, so the record is of another "
                    "run; choose another folder, or delete this one"
                )

"""The states of a recorded run: parameters and moments, in the format of an existing run."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainorder.errors import UserError
from trainorder.recording.state_names import MOMENTS, MOMENTS_FILE, PARAMETERS_FILE, checkpoint
from trainorder.recording.supported import trained_parameters
from trainorder.recording.tensor_files import write_tensors
from trainorder.storage.atomic import publish_folder


def updates(optimizer: torch.optim.AdamW) -> int:
    """Return the number of updates of an optimizer so far.

    Raises:
        UserError: its parameters have different numbers.

    """
    counts = set(_counts(optimizer))
    if len(counts) > 1:
        raise UserError(
            f"recording: the parameters of the optimizer have {min(counts)} to {max(counts)} "
            "updates; a study needs the same number for all"
        )
    return counts.pop() if counts else 0


def first_updates(optimizer: torch.optim.AdamW) -> int:
    """Return the number of updates of the first parameter that has any; 0 if none has."""
    return next(_counts(optimizer), 0)


def _counts(optimizer: torch.optim.AdamW) -> Iterator[int]:
    return (int(state["step"]) for state in optimizer.state.values() if "step" in state)


def write_state(
    folder: str | Path, step: int, model: nn.Module, optimizer: torch.optim.AdamW, *, whole: bool
) -> None:
    """Publish the state of a run after `step` updates as `checkpoint-<step>`.

    Args:
        folder: the record.
        step: the number of updates so far.
        model: the model, without wrappers.
        optimizer: the optimizer of its trained parameters.
        whole: whether to write all parameters and the configuration, from which a study opens the
            model; otherwise only the trained parameters.

    Raises:
        UserError: a file cannot be written.

    """
    trained = trained_parameters(model)
    with publish_folder(checkpoint(folder, step)) as private:
        if whole:
            config: Any = model.config
            config.save_pretrained(private)
        parameters = _all_tensors(model) if whole else trained
        write_tensors(private / PARAMETERS_FILE, parameters, {"format": "pt"})
        moments = dict(_moments(trained, optimizer))
        write_tensors(private / MOMENTS_FILE, {**moments, "step": torch.tensor(step)})


def _all_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters and saved buffers by name; tied weights have one name."""
    names = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {name: one for name, one in model.state_dict().items() if name not in names}
    return {**dict(model.named_parameters()), **buffers}


def _moments(
    trained: Mapping[str, Tensor], optimizer: torch.optim.AdamW
) -> Iterator[tuple[str, Tensor]]:
    """Yield each moment with its name; moments are zero before the first update."""
    for name, parameter in trained.items():
        state = optimizer.state.get(parameter, {})
        for moment in MOMENTS:
            yield f"{name}.{moment}", state.get(moment, torch.zeros_like(parameter))

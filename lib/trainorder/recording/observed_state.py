"""The state of a run, read from its model and its optimizer."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from trainorder.errors import UserError
from trainorder.recording.record.layout import MOMENTS
from trainorder.recording.supported_runs import trained_parameters


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


def all_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return parameters and saved buffers by name; tied weights have one name."""
    names = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {name: one for name, one in model.state_dict().items() if name not in names}
    return {**dict(model.named_parameters()), **buffers}


def moments(model: nn.Module, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """Return the moments of the trained parameters by `<parameter>.<moment>`; zero at first."""
    return {
        f"{name}.{moment}": optimizer.state.get(parameter, {}).get(
            moment, torch.zeros_like(parameter)
        )
        for name, parameter in trained_parameters(model).items()
        for moment in MOMENTS
    }

"""Read the state that a checkpoint of an existing run stores."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainorder.errors import UserError
from trainorder.numerics import large_tensors
from trainorder.recording.record.layout import MOMENTS_FILE, PARAMETERS_FILE, checkpoint
from trainorder.storage.safetensors_files import opened_safetensors
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import MOMENTS, State


def read_checkpoint(folder: str | Path, step: int, model: LanguageModel) -> State:
    """Return the state of one checkpoint as vectors (P,) in the sequence of the trained parameters.

    Files name parameters as the model does. Tied weights may have any of their names. Moments have
    the name of their parameter with the suffix `.exp_avg` or `.exp_avg_sq`.

    Args:
        folder: the run.
        step: the step of the checkpoint.
        model: the model of the study.

    Raises:
        UserError: a tensor is missing, unknown, not finite or has another shape or dtype, frozen
            parameters differ from those of the model, or the optimizer is at another step.

    """
    path = checkpoint(folder, step)
    with opened_safetensors(path / PARAMETERS_FILE, "pt") as file:
        theta = _parameters(_Tensors(path / PARAMETERS_FILE, file), model)
    with opened_safetensors(path / MOMENTS_FILE, "pt") as file:
        m, v = _moments(_Tensors(path / MOMENTS_FILE, file), model, step)
    return State(theta, m, v, step)


class _Tensors:
    """The tensors of a file; each is checked when it is read."""

    def __init__(self, path: Path, file: Any) -> None:
        self.path, self.names, self._file = path, set(file.keys()), file

    def like(self, name: str, parameter: Tensor) -> Tensor:
        """Return the tensor `name`; raise unless it has the shape and dtype of `parameter`."""
        tensor: Tensor = self._file.get_tensor(name)
        if tensor.shape != parameter.shape:
            shapes = [tuple(one.shape) for one in (tensor, parameter)]
            raise self.error(
                name, f"has shape {shapes[0]}, expected {shapes[1]}; correct the section `model`"
            )
        if tensor.dtype != parameter.dtype:
            dtypes = [str(one.dtype).removeprefix("torch.") for one in (tensor, parameter)]
            raise self.error(
                name, f"has dtype {dtypes[0]}, expected {dtypes[1]}; convert the checkpoint"
            )
        if not bool(torch.isfinite(tensor).all()):
            raise self.error(
                name, "has values that are not finite; choose a window before the run diverged"
            )
        return tensor

    def number(self, name: str) -> float:
        tensor: Tensor = self._file.get_tensor(name)
        if tensor.numel() != 1:
            raise self.error(
                name,
                f"has shape {tuple(tensor.shape)}, expected a single number; write it as "
                "docs/run.md shows",
            )
        return float(tensor)

    def error(self, name: str, problem: str) -> UserError:
        return UserError(f"{self.path}: `{name}` {problem}")


def _names(model: LanguageModel) -> list[list[str]]:
    """Return the names of each trained parameter; tied weights have several."""
    parameters = list(model.module.named_parameters(remove_duplicate=False))
    return [[name for name, one in parameters if one is parameter] for parameter in model.trained]


def _parameters(file: _Tensors, model: LanguageModel) -> Tensor:
    parameters = dict(model.module.named_parameters(remove_duplicate=False))
    buffers = dict(model.module.named_buffers())
    _check_known(file, {*parameters, *buffers})
    trained = {name for names in _names(model) for name in names}
    for name in sorted(file.names & parameters.keys() - trained):
        if not torch.equal(file.like(name, parameters[name]), parameters[name]):
            raise file.error(
                name,
                "is not trained, but differs from model.source; correct model.source",
            )
    return _joined(file, model, "")


def _moments(file: _Tensors, model: LanguageModel, step: int) -> tuple[Tensor, Tensor]:
    suffixes = tuple(f".{name}" for name in MOMENTS[1:])
    names = {name for names in _names(model) for name in names}
    _check_known(file, {"step", *(name + suffix for name in names for suffix in suffixes)})
    if "step" in file.names and file.number("step") != step:
        raise file.error(
            "step",
            f"is {file.number('step'):g}, but the folder is checkpoint-{step}; rename the folder",
        )
    m, v = (_joined(file, model, suffix) for suffix in suffixes)
    return m, v


def _check_known(file: _Tensors, known: set[str]) -> None:
    if unknown := sorted(file.names - known):
        raise file.error(unknown[0], "belongs to no trained parameter; correct the section `model`")


def _joined(file: _Tensors, model: LanguageModel, suffix: str) -> Tensor:
    """Return the tensors of all trained parameters as one vector (P,)."""
    result = large_tensors.empty(model.size, dtype=model.dtype)
    for part, parameter, names in zip(
        model.split(result), model.trained, _names(model), strict=True
    ):
        stored = [name + suffix for name in names if name + suffix in file.names]
        if not stored:
            raise file.error(names[0] + suffix, "is missing; write it as docs/run.md shows")
        first, *others = (file.like(name, parameter) for name in stored)
        if not all(torch.equal(first, other) for other in others):
            raise file.error(stored[0], f"differs from `{stored[1]}`, but the model ties them")
        part.copy_(first)
        large_tensors.release_pages()
    return result

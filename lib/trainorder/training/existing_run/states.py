"""The states of an existing run, as a path along the window."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.errors import UserError
from trainorder.numerics import large_tensors
from trainorder.numerics.interpolation import bracket
from trainorder.storage.safetensors_files import opened_safetensors
from trainorder.training.existing_run.checkpoint_files import (
    MOMENTS_FILE,
    PARAMETERS_FILE,
    checkpoint,
)
from trainorder.training.model import LanguageModel
from trainorder.training.optimizer import MOMENTS, State


class RunStates:
    """theta_0 .. theta_T with their moments: checkpoints of a run, interpolated in between."""

    def __init__(self, folder: str | Path, steps: Sequence[int], model: LanguageModel) -> None:
        """Read from the checkpoints at `steps` of a run, the first of them the window's start."""
        self.folder, self.model = folder, model
        self.first_step = steps[0]
        self.steps = [int(step) for step in steps]
        self._recent: dict[int, State] = {}  # the last two: neighbouring steps share them

    def state(self, t: int) -> State:
        """Return the state before step `t` of the window; `t` = T is the end.

        Tensors are (P,), shared between calls: not to be changed in place.

        Raises:
            UserError: a checkpoint that is needed is not one of the model's.

        """
        step = self.first_step + t
        low, high, weight = bracket(np.array(self.steps), step)
        before, after = self._checkpoint(low), self._checkpoint(high)
        if low == high:
            return before
        theta, m, v = (
            interpolated_vector(getattr(before, name), getattr(after, name), weight)
            for name in MOMENTS
        )
        return State(theta, m, v, step)

    def _checkpoint(self, place: int) -> State:
        step = int(self.steps[place])
        if step not in self._recent:
            while len(self._recent) > 1:
                self._recent.pop(next(iter(self._recent)))
            self._recent[step] = read_checkpoint(self.folder, step, self.model)
        return self._recent[step]


def interpolated_vector(before: Tensor, after: Tensor, weight: float) -> Tensor:
    """Return the linear interpolation (P,) of two vectors."""
    result = large_tensors.empty(len(before), dtype=before.dtype)
    for columns in large_tensors.column_blocks(3, len(before)):
        torch.lerp(before[columns], after[columns], weight, out=result[columns])
    return result


def read_checkpoint(folder: str | Path, step: int, model: LanguageModel) -> State:
    """Return one state of a run, its tensors in the order of the trained parameters of `model`.

    Parameters are stored under the names that the model has for them, of tied ones under any of
    their names; moments under such a name with `.exp_avg` and `.exp_avg_sq` behind it.

    Raises:
        UserError: a tensor is missing, unknown, of another shape or type, or not finite; parameters
            that are not trained differ from the model's; the optimizer is at another step.

    """
    where = checkpoint(folder, step)
    with opened_safetensors(where / PARAMETERS_FILE, "pt") as file:
        theta = _parameters(_Tensors(where / PARAMETERS_FILE, file), model)
    with opened_safetensors(where / MOMENTS_FILE, "pt") as file:
        m, v = _moments(_Tensors(where / MOMENTS_FILE, file), model, step)
    return State(theta, m, v, step)


class _Tensors:
    """The tensors of a file, each checked as it is read."""

    def __init__(self, path: Path, file: Any) -> None:
        self.path, self.names, self._file = path, set(file.keys()), file

    def like(self, name: str, parameter: Tensor) -> Tensor:
        """Return a tensor that has the shape and type of `parameter`."""
        found: Tensor = self._file.get_tensor(name)
        if found.shape != parameter.shape:
            raise self.error(name, f"is {_shape(found)}, and the model's {_shape(parameter)}")
        if found.dtype != parameter.dtype:
            types = [str(dtype).removeprefix("torch.") for dtype in (found.dtype, parameter.dtype)]
            raise self.error(name, f"is of {types[0]}, and the study computes in {types[1]}")
        if not bool(torch.isfinite(found).all()):
            raise self.error(name, "holds numbers that are not finite")
        return found

    def number(self, name: str) -> float:
        found: Tensor = self._file.get_tensor(name)
        if found.numel() != 1:
            raise self.error(name, f"is {_shape(found)}, and no single number")
        return float(found)

    def error(self, name: str, what: str) -> UserError:
        return UserError(f"{self.path}: `{name}` {what}")


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a number"


def _names(model: LanguageModel) -> list[list[str]]:
    """Return the names of each trained parameter, several where weights are tied."""
    every = list(model.module.named_parameters(remove_duplicate=False))
    return [[name for name, one in every if one is parameter] for parameter in model.trained]


def _parameters(file: _Tensors, model: LanguageModel) -> Tensor:
    every = dict(model.module.named_parameters(remove_duplicate=False))
    buffers = dict(model.module.named_buffers())
    _check_known(file, {*every, *buffers})
    trained = {name for names in _names(model) for name in names}
    for name in sorted(file.names & every.keys() - trained):
        if not torch.equal(file.like(name, every[name]), every[name]):
            raise file.error(name, "is not trained here, and is not that of model.source")
    return _joined(file, model, "")


def _moments(file: _Tensors, model: LanguageModel, step: int) -> tuple[Tensor, Tensor]:
    suffixes = tuple(f".{name}" for name in MOMENTS[1:])
    names = {name for names in _names(model) for name in names}
    _check_known(file, {"step", *(name + suffix for name in names for suffix in suffixes)})
    if "step" in file.names and file.number("step") != step:
        raise file.error("step", f"is {file.number('step'):g}, and its folder is of {step}")
    m, v = (_joined(file, model, suffix) for suffix in suffixes)
    return m, v


def _check_known(file: _Tensors, known: set[str]) -> None:
    if unknown := sorted(file.names - known):
        raise file.error(
            unknown[0], "is of no trained parameter of the model that `model` describes"
        )


def _joined(file: _Tensors, model: LanguageModel, suffix: str) -> Tensor:
    """Return the tensors of all trained parameters as one vector (P,)."""
    result = large_tensors.empty(model.size, dtype=model.dtype)
    for part, parameter, names in zip(
        model.split(result), model.trained, _names(model), strict=True
    ):
        stored = [name + suffix for name in names if name + suffix in file.names]
        if not stored:
            raise file.error(names[0] + suffix, "is missing")
        first, *others = (file.like(name, parameter) for name in stored)
        if not all(torch.equal(first, other) for other in others):
            raise file.error(stored[0], f"differs from `{stored[1]}`, and the model ties them")
        part.copy_(first)
        large_tensors.release_pages()
    return result

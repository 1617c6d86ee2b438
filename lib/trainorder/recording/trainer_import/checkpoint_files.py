"""The files of a checkpoint that the `Trainer` of transformers wrote."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainorder.errors import UserError
from trainorder.recording.record.layout import MOMENTS, PARAMETERS_FILE
from trainorder.recording.record.states import write_tensors
from trainorder.recording.supported_runs import SUPPORTED_OPTIMIZER, check_options
from trainorder.storage.formats import read_json
from trainorder.storage.safetensors_files import opened_safetensors

OPTIMIZER_FILE, CONFIG_FILE = "optimizer.pt", "config.json"
_INDEX, _ADAPTER = f"{PARAMETERS_FILE}.index.json", "adapter_config.json"
_PICKLED = "pytorch_model.bin"


def check_checkpoint(folder: Path) -> None:
    """Check that a checkpoint has parameters in float32, a configuration and an optimizer state.

    Raises:
        UserError: a file is missing or damaged, or it has adapters or pickled parameters.

    """
    if (folder / _ADAPTER).is_file():
        raise UserError(
            f"{folder / _ADAPTER}: adapter checkpoints are not imported; record such a run with "
            "trainorder.recording.RecordingCallback"
        )
    if not (folder / PARAMETERS_FILE).is_file() and not (folder / _INDEX).is_file():
        remedy = "give a checkpoint with parameters"
        if (folder / _PICKLED).is_file():
            remedy = f"{_PICKLED} is a pickle; convert it with save_pretrained"
        raise UserError(f"{folder / PARAMETERS_FILE}: missing; {remedy}")
    if not (folder / CONFIG_FILE).is_file():
        raise UserError(
            f"{folder / CONFIG_FILE}: missing, so the model is not known; copy it from another "
            "checkpoint of the run"
        )
    if not (folder / OPTIMIZER_FILE).is_file():
        raise UserError(
            f"{folder / OPTIMIZER_FILE}: missing, so the state of the optimizer is not known "
            "(save_only_model, DeepSpeed and FSDP do not write it)"
        )
    for file in _parameter_files(folder):
        with opened_safetensors(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                if (dtype := tensors.get_slice(name).get_dtype()) != "F32":
                    raise UserError(
                        f"{folder}: parameter `{name}` has dtype {dtype}, expected F32; a study "
                        "needs the parameters that the optimizer updated"
                    )


def copy_parameters(folder: Path, target: Path) -> None:
    """Write the parameters of a checkpoint as one safetensors file.

    Raises:
        UserError: a file is missing or damaged.

    """
    if (folder / PARAMETERS_FILE).is_file():
        shutil.copyfile(folder / PARAMETERS_FILE, target)  # no link: the run may write it again
    else:
        write_tensors(target, dict(stored_parameters(folder)), {"format": "pt"})


def stored_parameters(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the name and the value of each parameter of a checkpoint.

    Raises:
        UserError: a file is missing or damaged.

    """
    for file in _parameter_files(folder):
        with opened_safetensors(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                yield name, tensors.get_tensor(name)


def _parameter_files(folder: Path) -> list[Path]:
    if (folder / PARAMETERS_FILE).is_file():
        return [folder / PARAMETERS_FILE]
    return [folder / name for name in shards(folder)]


def shards(folder: Path) -> list[str]:
    """Return the names of the parts of sharded parameters.

    Raises:
        UserError: the index is not valid.

    """
    index = read_json(folder / _INDEX)
    parts = index.get("weight_map") if isinstance(index, dict) else None
    names = set(parts.values()) if isinstance(parts, dict) else set()
    if not names or any(Path(str(name)).name != name for name in names):
        raise UserError(f"{folder / _INDEX}: no list of parts; save the checkpoint again")
    return sorted(names)


@dataclass(frozen=True)
class ParameterGroup:
    """A parameter group of a stored AdamW.

    Attributes:
        params: the numbers of its parameters.
        betas: of AdamW.
        eps: of AdamW.
        weight_decay: of AdamW.
        lr: the learning rate after the last update.
        initial_lr: the rate that the schedule multiplies.

    """

    params: list[int]
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    lr: float
    initial_lr: float


@dataclass(frozen=True)
class StoredOptimizer:
    """The state of an AdamW.

    Attributes:
        groups: the parameter groups.
        moments: for each number of a parameter with a state, its tensors and numbers by name.

    """

    groups: list[ParameterGroup]
    moments: dict[int, dict[str, Any]]


def read_optimizer(folder: Path) -> StoredOptimizer:
    """Return the content of optimizer.pt, in which only tensors and plain values are read.

    Raises:
        UserError: the file contains anything else, such as objects with code, or is damaged, or it
            is not the state of an AdamW that a study can replay.

    """
    path = folder / OPTIMIZER_FILE
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises various types for damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: only tensors and plain values are read, but it is not readable as such: "
            f"{reason}; {SUPPORTED_OPTIMIZER}"
        ) from None
    try:
        state, groups = content["state"], content["param_groups"]
        _check_adamw(path, state, groups)
        moments = {int(number): _numbered(entry) for number, entry in state.items()}
        stored = StoredOptimizer([_group(group) for group in groups], moments)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
        raise UserError(
            f"{path}: damaged, or not the state of AdamW of torch; {SUPPORTED_OPTIMIZER}"
        ) from None
    if not stored.groups:
        raise UserError(f"{path}: has no parameter groups; save the checkpoint again")
    return stored


def _check_adamw(path: Path, state: Mapping[int, Any], groups: Sequence[Mapping[str, Any]]) -> None:
    """Check that a stored state is that of an AdamW that a study can replay.

    torch stores an option that other classes of the Adam family have as False
    (`decoupled_weight_decay`); other optimizers have other tensors.
    """
    for group in groups:
        check_options(str(path), group)
        if group.get("decoupled_weight_decay") is False:
            raise UserError(
                f"{path}: the weight decay of the optimizer is not decoupled, as Adam has it; "
                f"{SUPPORTED_OPTIMIZER}"
            )
    foreign = {name for entry in state.values() for name in entry} - {"step", *MOMENTS}
    if foreign:
        raise UserError(
            f"{path}: the optimizer is not AdamW of torch, its state has "
            f"{', '.join(sorted(map(str, foreign)))}; {SUPPORTED_OPTIMIZER}"
        )


def _numbered(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a parameter with the number of its updates as an integer."""
    return {**entry, "step": int(entry.get("step", -1))}


def _group(group: Mapping[str, Any]) -> ParameterGroup:
    beta1, beta2 = group["betas"]
    return ParameterGroup(
        params=[int(number) for number in group["params"]],
        betas=(float(beta1), float(beta2)),
        eps=float(group["eps"]),
        weight_decay=float(group["weight_decay"]),
        lr=float(group["lr"]),
        initial_lr=float(group.get("initial_lr", group["lr"])),
    )


def read_rate(folder: Path) -> float | None:
    """Return the learning rate of the update after a checkpoint; None if it is not known."""
    try:
        content = torch.load(folder / "scheduler.pt", map_location="cpu", weights_only=True)
        return float(content["_last_lr"][0])
    except Exception:  # torch raises various types for damaged files
        return None


def read_trainer_state(folder: Path) -> dict[str, Any]:
    """Return the content of trainer_state.json; empty if it is missing or not valid."""
    try:
        content = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def trainer_version(folder: Path) -> str | None:
    """Return the version of transformers that wrote a checkpoint; None if it is unknown."""
    try:
        content = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    version = content.get("transformers_version") if isinstance(content, dict) else None
    return version if isinstance(version, str) else None

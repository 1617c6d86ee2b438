"""The files of a checkpoint that the `Trainer` of transformers wrote."""

import json
import shutil
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from trainorder.errors import UserError
from trainorder.recording.record.layout import PARAMETERS_FILE
from trainorder.recording.record.states import write_tensors
from trainorder.storage.formats import read_json
from trainorder.storage.safetensors_files import opened_safetensors

OPTIMIZER_FILE, CONFIG_FILE = "optimizer.pt", "config.json"
_INDEX, _ADAPTER = f"{PARAMETERS_FILE}.index.json", "adapter_config.json"
_PICKLED = "pytorch_model.bin"


def check_checkpoint(folder: Path) -> None:
    """Check that a checkpoint has parameters and an optimizer state that can be read.

    Raises:
        UserError: it has adapters, pickled parameters, or no optimizer.

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
    if not (folder / OPTIMIZER_FILE).is_file():
        raise UserError(
            f"{folder / OPTIMIZER_FILE}: missing, so the state of the optimizer is not known "
            "(save_only_model, DeepSpeed and FSDP do not write it)"
        )


def copy_parameters(folder: Path, target: Path) -> None:
    """Write the parameters of a checkpoint as one safetensors file.

    Raises:
        UserError: a file is missing or damaged.

    """
    source = folder / PARAMETERS_FILE
    if source.is_file():
        with opened_safetensors(source, "pt"):
            pass
        shutil.copyfile(source, target)  # no link: the run may write its own file again
        return
    tensors = {}
    for name in shards(folder):
        with opened_safetensors(folder / name, "pt") as file:
            tensors.update({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
    write_tensors(target, tensors, {"format": "pt"})


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


def parameter_dtypes(folder: Path) -> dict[str, str]:
    """Return the dtype of each tensor of the parameters, as safetensors names it."""
    names = [PARAMETERS_FILE] if (folder / PARAMETERS_FILE).is_file() else shards(folder)
    dtypes = {}
    for name in names:
        with opened_safetensors(folder / name, "pt") as file:
            dtypes.update({key: file.get_slice(key).get_dtype() for key in file.keys()})  # noqa: SIM118
    return dtypes


def read_optimizer(folder: Path) -> dict[str, Any]:
    """Return the content of optimizer.pt, in which only tensors and plain values are read.

    Raises:
        UserError: the file contains anything else, such as objects with code, or is damaged.

    """
    path = folder / OPTIMIZER_FILE
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: only tensors and plain values are read, but it is not readable as such: "
            f"{reason}"
        ) from None
    is_state = isinstance(content, dict) and {"state", "param_groups"} <= content.keys()
    if not is_state or not all("params" in group for group in content["param_groups"]):
        raise UserError(
            f"{path}: not the state of an optimizer of torch; save the checkpoint again"
        )
    return dict(content)


def read_rate(folder: Path) -> float | None:
    """Return the learning rate of the update after a checkpoint; None if it is not known."""
    try:
        content = torch.load(folder / "scheduler.pt", map_location="cpu", weights_only=True)
        return float(content["_last_lr"][0])
    except (OSError, UnpicklingError, RuntimeError, LookupError, TypeError, ValueError):
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

"""Write the states of a run: parameters and moments, in the format of an existing run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from trainorder.errors import UserError
from trainorder.recording.record.layout import MOMENTS_FILE, PARAMETERS_FILE, checkpoint
from trainorder.recording.record.ownership import check_replaceable
from trainorder.storage.atomic import publish_folder


def write_state(
    folder: str | Path,
    step: int,
    parameters: Mapping[str, Tensor],
    moments: Mapping[str, Tensor],
    *,
    config: Any,
) -> None:
    """Publish the state of a run after `step` updates as `checkpoint-<step>`.

    Args:
        folder: the record.
        step: the number of updates so far.
        parameters: parameters by name: all of them where a study opens the model, else at least
            those that are trained.
        moments: see `write_moments`.
        config: the configuration of transformers, where a study opens the model; None elsewhere.

    Raises:
        UserError: a file cannot be written, or another program wrote a checkpoint there.

    """
    with published_state(folder, step) as private:
        if config is not None:
            config.save_pretrained(private)
        write_tensors(private / PARAMETERS_FILE, parameters, {"format": "pt"})
        write_moments(private, step, moments)


@contextmanager
def published_state(folder: str | Path, step: int) -> Iterator[Path]:
    """Yield a private folder; rename it to `checkpoint-<step>` on success.

    Raises:
        UserError: the folder cannot be written, or another program wrote a checkpoint there.

    """
    target = checkpoint(folder, step)
    check_replaceable(target)
    with publish_folder(target) as private:
        yield private


def write_moments(folder: Path, step: int, moments: Mapping[str, Tensor]) -> None:
    """Write the moments after `step` updates, by `<parameter>.<moment>`, into a state's folder.

    Raises:
        UserError: the file cannot be written.

    """
    write_tensors(folder / MOMENTS_FILE, {**moments, "step": torch.tensor(step)})


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors, copied to the host, into a safetensors file.

    Raises:
        UserError: the file cannot be written.

    """
    stored = {name: _own_memory(tensor) for name, tensor in tensors.items()}
    try:
        save_file(stored, path, dict(metadata or {}))
    except SafetensorError as error:
        raise UserError(f"{path}: cannot be written: {error}") from None


def _own_memory(tensor: Tensor) -> Tensor:
    """Return a contiguous tensor on the host that is not a view of a larger tensor."""
    tensor = tensor.detach().cpu().contiguous()
    is_part = tensor.untyped_storage().nbytes() != tensor.numel() * tensor.element_size()
    return tensor.clone() if is_part else tensor

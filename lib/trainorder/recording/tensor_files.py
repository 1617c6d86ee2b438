"""Write the safetensors files of a record."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from trainorder.errors import UserError


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

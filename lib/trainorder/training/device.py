"""The device that losses and their derivatives are computed on: the processor, or a GPU."""

import os

import torch

from trainorder.errors import UserError


def resolved(device: str) -> str:
    """Return `cpu` or `cuda` for a configured `device`; `auto` is `cuda` where torch sees a GPU."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def prepared(device: str) -> torch.device:
    """Return torch's device, and have torch compute the same there each time from here on.

    On a GPU float32 stays float32: products are not rounded to TF32.

    Args:
        device: `auto`, `cpu` or `cuda`.

    Raises:
        UserError: `cuda`, where torch sees no GPU.

    """
    torch.use_deterministic_algorithms(True)
    found = torch.device(resolved(device))
    if found.type == "cuda":
        if not torch.cuda.is_available():
            raise UserError(
                f"config: device: cuda: torch {torch.__version__} sees no GPU here; install a CUDA "
                "build of torch and a driver, or set device to cpu"
            )
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # read when cuBLAS starts
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    return found

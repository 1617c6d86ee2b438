"""The device on which losses and their derivatives are computed: the CPU or a GPU."""

import os

import torch

from trainorder.errors import UserError


def resolved(device: str) -> str:
    """Return `cpu` or `cuda` for `device`; `auto` is `cuda` if torch finds a GPU."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def prepared(device: str) -> torch.device:
    """Return the torch device and make all later computations of this process deterministic.

    On a GPU, float32 products are not rounded to TF32.

    Args:
        device: `auto`, `cpu` or `cuda`.

    Raises:
        UserError: `device` is `cuda`, but torch finds no GPU.

    """
    torch.use_deterministic_algorithms(True)
    torch_device = torch.device(resolved(device))
    if torch_device.type == "cuda":
        if not torch.cuda.is_available():
            raise UserError(
                f"config: device: cuda: torch {torch.__version__} finds no GPU; install a CUDA "
                "build of torch and a driver, or set device to cpu"
            )
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # must be set before cuBLAS starts
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    return torch_device

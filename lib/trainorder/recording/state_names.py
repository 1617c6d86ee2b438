"""The files of a stored state of a run, in a folder `checkpoint-<step>`."""

from pathlib import Path

PARAMETERS_FILE, MOMENTS_FILE = "model.safetensors", "optimizer.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq")  # of a parameter, as torch's AdamW names them


def checkpoint(folder: str | Path, step: int) -> Path:
    """Return the folder of the state of the run `folder` after `step` updates."""
    return Path(folder) / f"checkpoint-{step}"

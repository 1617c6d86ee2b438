"""The memory and time that jobs request; on a cluster a job that exceeds them is killed."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainorder.config.sections.model import ModelConfig
from trainorder.numerics.memory_budget import VECTORS_HELD

_SNAKEMAKE_MB = 500  # Snakemake itself, in each job of a cluster
_CUDA_MB = 2000  # CUDA libraries in a job that uses a GPU; not measured
_MOST_VECTORS = 3000  # parameter vectors in a job of the default study, at most

Request = Callable[[Any, int], int]


def keep_freed_memory(environment: MutableMapping[str, str]) -> None:
    """Let the jobs keep the memory that they free, unless `environment` says otherwise.

    With glibc's defaults the kernel takes the memory of activations back and clears it at every
    step, which costs up to a tenth of the training time.
    """
    environment.setdefault("MALLOC_MMAP_THRESHOLD_", str(32 << 20))
    environment.setdefault("MALLOC_TRIM_THRESHOLD_", str(256 << 20))


def most_parameters(model: ModelConfig, vocabulary: int) -> int:
    """Return an upper bound on the model's number of parameters, or 0 if its files are missing."""
    if model.source is None:
        return model.new_parameters(vocabulary)
    weights = Path(model.source).glob("*.safetensors")
    return sum(file.stat().st_size for file in weights) // 2  # at least two bytes each


def vectors_mb(parameters: int, memory_gb: float) -> int:
    """Return the megabytes of parameter vectors that a job keeps in memory at most.

    A job keeps `VECTORS_HELD` vectors plus `memory_gb` of others, and spills the rest to files.
    With an unknown number of parameters (0), all of `memory_gb` counts.
    """
    vector_mb, spare_mb = 4e-6 * parameters, 1000 * memory_gb
    most_mb = _MOST_VECTORS * vector_mb or spare_mb
    return round(min(most_mb, spare_mb) + VECTORS_HELD * vector_mb)


@dataclass(frozen=True)
class JobResources:
    """What the jobs of one study request.

    Attributes:
        vectors_mb: megabytes of parameter vectors in a job, see `vectors_mb`.
        cuda: whether the study computes on a GPU.

    """

    vectors_mb: int
    cuda: bool

    def request(
        self, *, megabytes: int, minutes: int, vectors: bool, device: bool
    ) -> dict[str, int | Request]:
        """Return the `resources:` of a rule. Each further attempt requests more memory and time.

        Args:
            megabytes: memory of a job of the default study, without parameter vectors.
            minutes: run time of a job of the default study, at most.
            vectors: whether the job holds parameter vectors.
            device: whether the job computes on the device of the study.

        """
        total_mb = megabytes + _SNAKEMAKE_MB
        total_mb += self.vectors_mb if vectors else 0
        total_mb += _CUDA_MB if self.cuda else 0
        gpu: dict[str, int | Request] = {"gpu": 1} if self.cuda and device else {}
        return {**gpu, "mem_mb": _growing(total_mb), "runtime": _growing(minutes)}


def _growing(first: int) -> Request:
    def request(wildcards: Any, attempt: int) -> int:  # Snakemake matches arguments by name
        return attempt * first

    return request

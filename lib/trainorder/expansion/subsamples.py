"""The subsamples of units and the norm of distances that all known runs of a study share."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import h5py
import numpy as np
import torch
from torch import Tensor

from trainorder.numerics import large_tensors
from trainorder.numerics.countsketch import SparseJL

_RESIDUALS = "residuals_"


def residuals_name(size: int) -> str:
    """Return the name of the dataset with the residuals of subsamples of one size."""
    return f"{_RESIDUALS}{size}"


def drawn_sequences(units: int, sequences: int, seed: int) -> np.ndarray:
    """Return a random sequence of the sequences of each unit, (U, S) int64."""
    rng = np.random.default_rng(seed)
    return rng.permuted(np.tile(np.arange(sequences), (units, 1)), axis=1)


@dataclass(frozen=True)
class Subsamples:
    """Which sequences are subsamples, and how parameters are projected.

    Attributes:
        drawn: (U, S) int64 a random sequence of each unit's sequences; a subsample of size b is the
            first b of them, so that subsamples are nested.
        sizes: of the subsamples; 0 gives the whole gradient as residual.
        scale: (P,) of the norm in which distances are measured.
        rows: R, numbers of a projected point.

    """

    drawn: np.ndarray
    sizes: Sequence[int]
    scale: Tensor
    rows: int

    @classmethod
    def of(cls, file: h5py.File) -> "Subsamples":
        """Return those of the reference run, from its open file."""
        names = (name for name in file if name.startswith(_RESIDUALS))
        sizes = sorted(int(end) for name in names if (end := name[len(_RESIDUALS) :]).isdigit())
        scale = large_tensors.read(file["scale"])
        return cls(file["drawn"][()], sizes, scale, file["points"].shape[1])

    @cached_property
    def _sketch(self) -> SparseJL:
        return SparseJL(len(self.scale), self.rows)

    def point(self, theta: Tensor) -> Tensor:
        """Return the projection (R,) of `theta` (P,): it keeps distances in the norm."""
        scaled = large_tensors.empty(len(theta), dtype=theta.dtype)
        for columns in large_tensors.column_blocks(3, len(theta)):
            torch.mul(theta[columns], self.scale[columns], out=scaled[columns])
        return self._sketch(scaled)

"""What a known run tells: by how much subsamples of its units miss their gradients.

A known run is a training that was really done. Where it consumed a unit, at a *visit*, the full
gradient of the unit is known. The residual g_u(P) - g_b(P) at a visit is what b of the unit's
sequences miss of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from trainorder.expansion.path import ExpansionPath
from trainorder.numerics.combination_weights import combination_weights
from trainorder.numerics.countsketch import SparseJL
from trainorder.numerics.derivatives import gradient
from trainorder.numerics.encoded_rows import read_encoded, write_encoded
from trainorder.numerics.large_tensors import release_pages
from trainorder.numerics.quantize import dequantized, quantized
from trainorder.numerics.rows import Rows
from trainorder.storage.sealed_hdf5 import creating, opened
from trainorder.training.problem import Problem

_SKETCH_ROWS = 1024  # relative error of a squared distance: sqrt(2 / 1024), 4 %
_PENALTY = 0.05  # of the combination of visits


@dataclass(frozen=True)
class KnownRun:
    """The residuals of V visits, for subsamples of several sizes.

    Attributes:
        steps: (V,) int64 the step of each visit.
        units: (V,) int64 the unit of each visit.
        drawn: (U, S) int64 a random sequence of each unit's sequences; a subsample of size b is the
            first b of them, so that subsamples are nested.
        residuals: by size b, (V, P): the unit's gradient at the visit, minus that of its subsample.
        points: (V, R) sketches of the parameters at each visit, times `scale`.
        scale: (P,) of the norm in which distances are measured.

    """

    steps: np.ndarray
    units: np.ndarray
    drawn: np.ndarray
    residuals: Mapping[int, Rows]
    points: Tensor
    scale: Tensor

    @classmethod
    def measure(
        cls,
        problem: Problem,
        path: ExpansionPath,
        schedule: np.ndarray,
        sizes: Sequence[int],
        scale: Tensor,
        seed: int,
    ) -> "KnownRun":
        """Differentiate every sequence of each unit once, where the run consumed the unit.

        A unit that the run did not consume is visited in the middle of the window.

        Args:
            problem: the units' losses.
            path: the states of the run, one before each step.
            schedule: (T, k) int64 the units that the run consumed at each step.
            sizes: of the subsamples; 0 gives the whole gradient as residual.
            scale: (P,) of the norm of distances.
            seed: of the subsamples.

        """
        steps, units = visits(schedule, problem.units)
        drawn = drawn_sequences(problem.units, problem.sequences, seed)
        sketch = SparseJL(problem.size, _SKETCH_ROWS)
        dtype = path.parameters(0, slice(0, 0)).dtype
        residuals = {b: Rows.empty(len(units), problem.size, dtype) for b in sizes}
        points = torch.empty(len(units), _SKETCH_ROWS, dtype=dtype)
        for visit, (t, unit) in enumerate(
            zip(tqdm(steps.tolist(), desc="residuals", mininterval=2), units.tolist(), strict=True)
        ):
            theta = path.parameters(t)
            points[visit] = sketch(theta * scale)
            rows = {b: residual[visit] for b, residual in residuals.items()}
            measure_residuals(problem, theta, unit, drawn[unit], rows)
            release_pages()
        return cls(steps, units, drawn, residuals, points, scale)

    def save(self, path: Path, key: str) -> None:
        """Publish the run, with residuals as 8-bit codes in blocks."""
        with creating(path, key) as file:
            for name in ("steps", "units", "drawn"):
                file.create_dataset(name, data=getattr(self, name))
            file.create_dataset("points", data=self.points.numpy())
            file.create_dataset("scale", data=self.scale.numpy())
            for size, rows in self.residuals.items():
                write_encoded(file, f"residuals_{size}", rows, quantized)

    @classmethod
    def load(cls, path: Path, key: str, size: int) -> "KnownRun":
        """Read the residuals of subsamples of one size.

        Raises:
            UserError: the file is missing, damaged or belongs to another study.

        """
        with opened(path, key, "residuals") as file:
            points, scale = (torch.from_numpy(file[name][()]) for name in ("points", "scale"))
            name = f"residuals_{size}"
            count, numbers = file[name].shape
            rows = Rows.empty(count, numbers, points.dtype)
            read_encoded(file, name, rows, dequantized)
            arrays = {name: file[name][()] for name in ("steps", "units", "drawn")}
        return cls(**arrays, residuals={size: rows}, points=points, scale=scale)

    def sequences(self, units: Tensor, size: int) -> np.ndarray:
        """Return unit and sequence (k size, 2) of the subsamples of `units` (k,)."""
        chosen = units.numpy()
        return np.stack([chosen.repeat(size), self.drawn[chosen, :size].ravel()], axis=1)

    @cached_property
    def _visited(self) -> list[np.ndarray]:
        """The visits of each unit."""
        return [np.flatnonzero(self.units == unit) for unit in range(len(self.drawn))]

    @cached_property
    def _sketch(self) -> SparseJL:
        """The projection of `points`."""
        return SparseJL(len(self.scale), self.points.shape[1])

    def visits_near(self, units: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the visits of `units` (O, k) and their weights at `parameters` (O, P).

        Returns:
            Visits (O, k, m) int64 and weights (O, k, m), for at most m visits of a unit; the
            weights of a unit sum to 1, and unused places have weight 0.

        """
        visited = self._visited
        most = max(map(len, visited))
        places = torch.tensor([[*row, *[row[0]] * (most - len(row))] for row in map(list, visited)])
        chosen = places[units]
        weights = torch.zeros(chosen.shape, dtype=parameters.dtype)
        weights[..., 0] = 1
        if most > 1:
            for row, theta, weight in zip(units.tolist(), parameters, weights, strict=True):
                differences = (self.points - self._sketch(theta * self.scale)).double()
                for place, unit in enumerate(row):
                    near = differences[torch.from_numpy(visited[unit])]
                    combined = combination_weights((near @ near.T).numpy(), _PENALTY)
                    weight[place, : len(near)] = torch.from_numpy(combined)
        return chosen, weights


def visits(schedule: np.ndarray, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and units, (V,) each: where a run consumed each unit, or else its middle step.

    Examples:
        >>> steps, units = visits(np.array([[1], [0], [1]]), 3)
        >>> steps.tolist(), units.tolist()
        ([0, 1, 2, 1], [1, 0, 1, 2])

    """
    steps, per_step = schedule.shape
    missing = np.setdiff1d(np.arange(units), schedule)
    middle = np.full(len(missing), steps // 2)
    return (
        np.concatenate([np.arange(steps).repeat(per_step), middle]),
        np.concatenate([schedule.ravel(), missing]),
    )


def drawn_sequences(units: int, sequences: int, seed: int) -> np.ndarray:
    """Return a random sequence of the sequences of each unit, (U, S) int64."""
    rng = np.random.default_rng(seed)
    return rng.permuted(np.tile(np.arange(sequences), (units, 1)), axis=1)


def measure_residuals(
    problem: Problem, theta: Tensor, unit: int, drawn: np.ndarray, rows: Mapping[int, Tensor]
) -> None:
    """Write into `rows` what subsamples of a unit miss of its gradient at `theta` (P,).

    The subsamples are nested, so each sequence is differentiated only once.

    Args:
        problem: the units' losses.
        theta: (P,).
        unit: the unit.
        drawn: (S,) its sequences; a subsample of size b is the first b of them.
        rows: by size b, at most S, the vector (P,) that g_u - g_b overwrites.

    """
    total = torch.zeros_like(theta)
    if 0 in rows:
        rows[0].zero_()
    for first, last in pairwise(sorted({0, *rows, len(drawn)})):
        sample = np.stack([np.full(last - first, unit), drawn[first:last]], axis=1)
        total.add_(gradient(partial(problem.sample_loss, rows=sample), theta), alpha=last - first)
        if last in rows:
            torch.div(total, last, out=rows[last])
    total.div_(len(drawn))
    for mean in rows.values():
        torch.sub(total, mean, out=mean)

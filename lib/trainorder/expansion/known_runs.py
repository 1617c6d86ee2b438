"""What known runs tell: by how much subsamples of units miss the units' gradients.

A known run is a training that was really done: that of the reference order, and those of
calibration orders. Where it consumed a unit, at a *visit*, the full gradient of the unit is known.
The residual g_u(P) - g_b(P) at a visit is what b of the unit's sequences miss of it.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from trainorder.errors import UserError
from trainorder.expansion.path import ExpansionPath
from trainorder.expansion.subsamples import Subsamples, drawn_sequences, residuals_name
from trainorder.numerics.combination_weights import combination_weights
from trainorder.numerics.derivatives import gradient
from trainorder.numerics.encoded_rows import read_encoded, write_encoded
from trainorder.numerics.large_tensors import release_pages
from trainorder.numerics.quantize import dequantized, quantized
from trainorder.numerics.rows import Rows
from trainorder.storage.sealed_hdf5 import creating, opened
from trainorder.training.problem import Problem

_POINT_ROWS = 1024  # relative error of a squared distance: sqrt(2 / 1024), 4 %
_PENALTY = 0.05  # of the combination of visits


@dataclass(frozen=True)
class KnownRuns:
    """The residuals of V visits of one or more runs, for subsamples of several sizes.

    Attributes:
        steps: (V,) int64 the step of each visit.
        units: (V,) int64 the unit of each visit.
        subsamples: of the units, and the norm in which distances are measured.
        residuals: by size b, (V, P): the unit's gradient at the visit, minus that of its subsample.
        points: (V, R) projections of the parameters at each visit.
        runs: (V,) int64 the run of each visit; 0 is the reference run, whose visits come first.
        schedules: (N, T, k) int64 the schedules of the other runs, from number 1 on.

    """

    steps: np.ndarray
    units: np.ndarray
    subsamples: Subsamples
    residuals: Mapping[int, Rows]
    points: Tensor
    runs: np.ndarray
    schedules: np.ndarray

    @classmethod
    def measure(
        cls,
        problem: Problem,
        path: ExpansionPath,
        schedule: np.ndarray,
        sizes: Sequence[int],
        scale: Tensor,
        seed: int,
    ) -> "KnownRuns":
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
        subsamples = Subsamples(drawn, sizes, scale, _POINT_ROWS)
        dtype = path.parameters(0, slice(0, 0)).dtype
        residuals = {b: Rows.empty(len(units), problem.size, dtype) for b in sizes}
        points = torch.empty(len(units), _POINT_ROWS, dtype=dtype)
        for visit, (t, unit) in enumerate(
            zip(tqdm(steps.tolist(), desc="residuals", mininterval=2), units.tolist(), strict=True)
        ):
            theta = path.parameters(t)
            points[visit] = subsamples.point(theta)
            rows = {b: residual[visit] for b, residual in residuals.items()}
            measure_residuals(problem, theta, unit, drawn[unit], rows)
            release_pages()
        return cls(
            steps,
            units,
            subsamples,
            residuals,
            points,
            runs=np.zeros_like(units),
            schedules=np.empty((0, *schedule.shape), np.int64),
        )

    def save(self, path: Path, key: str) -> None:
        """Publish the reference run, with residuals as 8-bit codes in blocks."""
        with creating(path, key) as file:
            for name in ("steps", "units"):
                file.create_dataset(name, data=getattr(self, name))
            file.create_dataset("drawn", data=self.subsamples.drawn)
            file.create_dataset("points", data=self.points.numpy())
            file.create_dataset("scale", data=self.subsamples.scale.numpy())
            for size, rows in self.residuals.items():
                write_encoded(file, residuals_name(size), rows, quantized)

    @classmethod
    def load(
        cls, path: Path, key: str, size: int, *, further: Sequence[Path] = (), runs: int = 0
    ) -> "KnownRuns":
        """Read the residuals of subsamples of one size.

        Args:
            path: the file of the reference run.
            key: the study key of the files.
            size: of the subsamples.
            further: the files of `RunRecorder`, which hold the other runs.
            runs: the number of other runs to read: those with numbers 1 to `runs`.

        Raises:
            UserError: a file is missing, damaged or belongs to another study.

        """
        with ExitStack() as stack:
            reference = stack.enter_context(opened(path, key, "residuals"))
            recorded = [stack.enter_context(opened(file, key, "truth")) for file in further]
            schedules, parts = _recorded(recorded, runs, after=len(reference["units"]))
            parts = [_Part(reference, 0, slice(0, len(reference["units"]))), *parts]
            subsamples = Subsamples.of(reference)
            residuals, points = _read(parts, subsamples, size)
            steps, units = reference["steps"][()], reference["units"][()]
        each_step = np.arange(schedules.shape[1]).repeat(schedules.shape[2])
        numbers = np.arange(1, runs + 1).repeat(len(each_step))
        return cls(
            np.concatenate([steps, np.tile(each_step, runs)]),
            np.concatenate([units, schedules.ravel()]),
            subsamples,
            {size: residuals},
            points,
            np.concatenate([np.zeros_like(units), numbers]),
            schedules,
        )

    @classmethod
    def of(cls, runs: "Sequence[RecordedRun]", subsamples: Subsamples, size: int) -> "KnownRuns":
        """Read the residuals of some recorded runs, of which the first has number 0.

        Args:
            runs: runs that consumed each unit once.
            subsamples: those of the reference run.
            size: of the subsamples.

        """
        schedules = np.stack([run.schedule for run in runs])
        count, steps, per_step = schedules.shape
        visits = steps * per_step
        places = [slice(start, start + visits) for start in range(0, count * visits, visits)]
        parts = [_Part(run.file, run.first, place) for run, place in zip(runs, places, strict=True)]
        residuals, points = _read(parts, subsamples, size)
        return cls(
            np.tile(np.arange(steps).repeat(per_step), count),
            schedules.ravel(),
            subsamples,
            {size: residuals},
            points,
            np.arange(count).repeat(visits),
            schedules[1:],
        )

    def sequences(self, units: Tensor, size: int) -> np.ndarray:
        """Return unit and sequence (k size, 2) of the subsamples of `units` (k,)."""
        chosen = units.numpy()
        drawn = self.subsamples.drawn[chosen, :size]
        return np.stack([chosen.repeat(size), drawn.ravel()], axis=1)

    def followed_by(self, schedules: Tensor) -> Tensor:
        """Return which runs, but for the reference run, have the same units at each step.

        Args:
            schedules: (O, T, k) int64.

        Returns:
            (O, N + 1) bool, by number of the run.

        """
        result = torch.zeros(len(schedules), len(self.schedules) + 1, dtype=torch.bool)
        if schedules.shape[1:] == self.schedules.shape[1:]:
            steps, known = schedules.sort(2).values, np.sort(self.schedules, 2)
            for number, schedule in enumerate(known, start=1):
                result[:, number] = (steps == torch.from_numpy(schedule)).flatten(1).all(1)
        return result

    @cached_property
    def _visits(self) -> tuple[Tensor, Tensor]:
        """The visits (U, m) of each unit, of which some repeat the first; which do not, (U, m)."""
        visited = [np.flatnonzero(self.units == u) for u in range(len(self.subsamples.drawn))]
        most = max(map(len, visited))
        places = np.stack([np.resize(own, most) for own in visited])
        is_own = np.stack([np.arange(most) < len(own) for own in visited])
        return torch.from_numpy(places), torch.from_numpy(is_own)

    def visits_near(
        self, units: Tensor, parameters: Tensor, excluded: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the visits of `units` (O, k) and their weights at `parameters` (O, P).

        Args:
            units: (O, k) int64.
            parameters: (O, P).
            excluded: (O, N + 1) bool, the runs whose visits get no weight; never the first run.

        Returns:
            Visits (O, k, m) int64 and weights (O, k, m), for at most m visits of a unit; the
            weights of a unit sum to 1, and unused places have weight 0.

        """
        places, is_own = self._visits
        chosen = places[units]
        if chosen.shape[2] == 1:
            return chosen, torch.ones(chosen.shape, dtype=parameters.dtype)
        runs = torch.from_numpy(self.runs)[chosen]
        left_out = excluded.gather(1, runs.flatten(1)).view_as(runs)
        usable = (is_own[units] & ~left_out).numpy()
        weights = torch.empty(chosen.shape, dtype=parameters.dtype)
        for order, theta in enumerate(parameters):
            differences = (self.points[chosen[order]] - self.subsamples.point(theta)).double()
            gram = (differences @ differences.mT).numpy()
            combined = combination_weights(gram, _PENALTY, usable[order])
            weights[order] = torch.from_numpy(combined)
        return chosen, weights


class _Part(NamedTuple):
    """The visits of a run in a file, from number `first` on, and their place among all visits."""

    file: h5py.File
    first: int
    place: slice


@dataclass(frozen=True)
class RecordedRun:
    """A run in an open file: that of the reference run, or one of `RunRecorder`.

    Attributes:
        file: the file.
        first: the number of the run's first visit in the file.
        schedule: (T, k) int64.

    """

    file: h5py.File
    first: int
    schedule: np.ndarray

    def points(self) -> np.ndarray:
        """Return the projected parameters at its visits, (T k, R)."""
        points: np.ndarray = self.file["points"][self.first : self.first + self.schedule.size]
        return points


def _read(parts: Sequence[_Part], subsamples: Subsamples, size: int) -> tuple[Rows, Tensor]:
    """Return the residuals (V, P) of one size and the points (V, R) of the visits of `parts`."""
    count, dtype = parts[-1].place.stop, subsamples.scale.dtype
    residuals = Rows.empty(count, len(subsamples.scale), dtype)
    points = torch.empty(count, subsamples.rows, dtype=dtype)
    for file, first, place in parts:
        read_encoded(file, residuals_name(size), residuals[place], dequantized, first)
        rows = file["points"][first : first + place.stop - place.start]
        points[place] = torch.from_numpy(rows)
    return residuals, points


def _recorded(files: Sequence[h5py.File], runs: int, after: int) -> tuple[np.ndarray, list[_Part]]:
    """Return the schedules (`runs`, T, k) of recorded runs, and where their visits are.

    Their visits come by the number of the run, `after` visits of the reference run.
    """
    numbered = {
        number: (file, place)
        for file in files
        for place, number in enumerate(file["runs"][()].tolist())
    }
    schedules, parts = [], []
    for number in range(1, runs + 1):
        if number not in numbered:
            raise UserError(f"store: no file holds the known run {number}; rerun rule `truth`")
        file, place = numbered[number]
        schedules.append(file["schedules"][place])
        size = schedules[-1].size
        start = after + (number - 1) * size
        parts.append(_Part(file, place * size, slice(start, start + size)))
    none = np.empty((0, 0, 0), np.int64)
    return np.stack(schedules) if schedules else none, parts


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

"""Records trainings as known runs while they run, without any further gradient.

The gradient of a step is accumulated over nested parts of each of its units. So the gradient of
every subsample is known on the way, and with it what the subsample misses of the unit's gradient.
"""

from collections.abc import Mapping

import h5py
import numpy as np
import torch
from torch import Tensor

from trainorder.expansion.subsamples import Subsamples, residuals_name
from trainorder.numerics import large_tensors
from trainorder.numerics.encoded_rows import EncodedRows
from trainorder.numerics.quantize import quantized
from trainorder.orders.order import Order
from trainorder.training.problem import LanguageProblem
from trainorder.training.trainer import MicroBatches


class RunRecorder:
    """Writes what the trainings of some orders tell into one file.

    The file has the datasets `runs` (n,), the number of each run, and `schedules` (n, T, k); and by
    visit, run after run and step after step, `points` (n T k, R) and the residuals of each size as
    8-bit codes in blocks.
    """

    def __init__(
        self,
        file: h5py.File,
        problem: LanguageProblem,
        subsamples: Subsamples,
        orders: Mapping[int, Order],
        shape: tuple[int, int],
    ) -> None:
        """Add the datasets to a new file.

        Args:
            file: the file.
            problem: the learning problem, whose model is trained.
            subsamples: those of the reference run.
            orders: the n orders whose trainings are recorded, by the number of the run. They may be
                none. Number 0 is the reference run, which is not recorded.
            shape: (T, k), of a schedule.

        """
        schedules = [order.schedule for order in orders.values()]
        self._problem, self._subsamples = problem, subsamples
        self._first_visits = {
            order.name: place * shape[0] * shape[1] for place, order in enumerate(orders.values())
        }
        file.create_dataset("runs", data=np.array(list(orders), dtype=np.int64))
        file.create_dataset("schedules", data=np.array(schedules, np.int64).reshape(-1, *shape))
        visits, scale = len(orders) * shape[0] * shape[1], subsamples.scale
        self._points = file.create_dataset("points", (visits, subsamples.rows), scale.numpy().dtype)
        like = scale[:1].expand(visits, problem.size)
        self._residuals = {
            size: EncodedRows(file, residuals_name(size), like, quantized)
            for size in subsamples.sizes
        }

    def records(self, order: Order) -> bool:
        """Return whether `order` is a known run."""
        return order.name in self._first_visits

    def recording(self, order: Order) -> "Recording | None":
        """Return what records the training of `order`; None if it is not a known run."""
        if not self.records(order):
            return None
        return Recording(
            self._problem,
            order.schedule,
            self._subsamples,
            self._points,
            self._residuals,
            self._first_visits[order.name],
        )


class Recording:
    """Records one training, from its first step to its last one."""

    def __init__(
        self,
        problem: LanguageProblem,
        schedule: np.ndarray,
        subsamples: Subsamples,
        points: h5py.Dataset,
        residuals: Mapping[int, EncodedRows],
        first_visit: int,
    ) -> None:
        """Write visits from number `first_visit` on to `points` and `residuals`."""
        self._problem, self._schedule, self._subsamples = problem, schedule, subsamples
        self._points, self._residuals, self._first_visit = points, residuals, first_visit
        sequences = problem.sequences
        self._ends = sorted({*subsamples.sizes, sequences} - {0})  # of the parts of a unit
        size, dtype = problem.size, subsamples.scale.dtype
        self._earlier = large_tensors.zeros(size, dtype=dtype)  # of earlier units of the step
        self._means = {b: large_tensors.zeros(size, dtype=dtype) for b in subsamples.sizes if b}

    def batch(self, step: int) -> Tensor:
        """Return the sequences (k S, L) of a step: unit after unit, as they are drawn."""
        units = self._schedule[step]
        drawn = self._subsamples.drawn[units]
        rows = np.stack([units.repeat(drawn.shape[1]), drawn.ravel()], axis=1)
        return self._problem.sample(rows)

    def micro_batches(self, first: int) -> MicroBatches:
        """Return the parts of the batches of a training that begins with step `first`."""
        sizes = np.diff([0, *self._ends]).tolist() * self._schedule.shape[1]
        return MicroBatches(sizes, lambda step, part: self._observe(first + step, part))

    def _observe(self, step: int, part: int) -> None:
        """Take the gradient after a part; write the residuals after the last part of a unit."""
        model, per_step = self._problem.model, self._schedule.shape[1]
        place, piece = divmod(part, len(self._ends))
        visit, size = self._first_visit + step * per_step + place, self._ends[piece]
        if part == 0:
            for columns in large_tensors.column_blocks(1, model.size):
                self._earlier[columns].zero_()
            self._point = self._subsamples.point(model.parameters()).numpy()
        is_last = piece == len(self._ends) - 1
        total, mean = model.gradient(), self._means.get(size)
        for columns in large_tensors.column_blocks(3, len(total)):
            # The accumulated gradient is a sum over sequences, divided by those of the batch.
            block = total[columns].sub_(self._earlier[columns])
            if mean is not None:
                torch.mul(block, per_step * self._problem.sequences / size, out=mean[columns])
            if is_last:
                self._earlier[columns] += block
                block *= per_step
        if is_last:
            self._points[visit] = self._point
            self._write(visit, total)

    def _write(self, visit: int, gradient: Tensor) -> None:
        """Write the residuals of a visit, where the unit has `gradient` (P,)."""
        for size, rows in self._residuals.items():
            residual = self._means.get(size, gradient)  # subsamples of size 0 miss all of it
            if size in self._means:
                for columns in large_tensors.column_blocks(2, len(gradient)):
                    torch.sub(gradient[columns], residual[columns], out=residual[columns])
            rows[visit] = residual
            large_tensors.release_pages()

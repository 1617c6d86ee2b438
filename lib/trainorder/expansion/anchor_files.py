"""The gradients at the anchors of a path, in files that are used until the path is complete."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from trainorder.errors import UserError
from trainorder.expansion.anchors import PathAnchors
from trainorder.expansion.gradient_moments import Moments, exact_moments
from trainorder.numerics import large_tensors
from trainorder.numerics.interpolation import bracket
from trainorder.numerics.rows import Rows
from trainorder.storage.sealed_hdf5 import create_rows, creating, opened
from trainorder.training.problem import Problem, each_gradient


class AnchorFiles:
    """Writes the gradients of all units, or of the clusters, at anchors, and reads a table's rows.

    The files are in a folder of checkpoints. They carry the study key.
    """

    def __init__(self, folder: Path, key: str) -> None:
        """Describe the files; nothing is read or written."""
        self._folder, self._key = folder, key

    def file(self, t: int) -> Path:
        """Return the file of the gradients of all units at step `t`."""
        return self._folder / f"anchor-{t:06d}.h5"

    def measure(self, t: int, problem: Problem, theta: Tensor) -> Moments:
        """Return the exact moments at step `t`; the gradients are computed once, and kept.

        A file of them that cannot be read counts as absent. The gradients in a file that an
        interrupted job left are counted as computed, so that costs do not depend on interruptions.
        """
        try:
            moments = self._moments(t)
        except UserError:
            with creating(self.file(t), self._key) as made:
                shape, dtype = (problem.units, problem.size), theta.numpy().dtype.str
                rows = create_rows(made, "gradient", shape, dtype)
                for unit, g in enumerate(each_gradient(problem, theta)):
                    rows[unit] = g.numpy()
                    del g  # not held while the next one is computed
            return self._moments(t)
        problem.meter.add("gradients", problem.units * problem.sequences)
        return moments

    def save_clusters(self, t: int, means: Rows) -> None:
        """Write the gradients (C, P) of the clusters' pools at step `t`."""
        with creating(self._clusters(t), self._key) as made:
            large_tensors.write(made, "gradient", means.tensor)

    def table(self, anchors: PathAnchors, labels: np.ndarray) -> Iterator[Iterator[Tensor]]:
        """Yield the units' gradients at each anchor of a complete path: U of (P,), one at a time.

        At an anchor that was not measured, the gradient of a unit is that of the pool of its
        cluster, plus the unit's deviation from it: interpolated linearly between the measured
        anchors before and after, and constant after the last one.

        Args:
            anchors: the anchors.
            labels: (U,) the cluster of each unit.

        """
        measured = np.array(anchors.measured)
        for t in anchors.steps:
            low, high, weight = bracket(measured, t)
            with ExitStack() as stack:
                files = partial(self._opened, stack)
                if low == high and measured[low] == t:
                    rows = files(self.file(t))
                    yield (torch.from_numpy(rows[unit]) for unit in range(len(rows)))
                    continue
                about = [
                    (files(self.file(a)), files(self._clusters(a))) for a in measured[[low, high]]
                ]
                yield _derived(about, files(self._clusters(t)), weight, labels)

    def _opened(self, stack: ExitStack, file: Path) -> h5py.Dataset:
        return stack.enter_context(opened(file, self._key, "barycentre"))["gradient"]

    def _clusters(self, t: int) -> Path:
        return self._folder / f"clusters-{t:06d}.h5"

    def _moments(self, t: int) -> Moments:
        with opened(self.file(t), self._key, "barycentre") as file:
            rows = file["gradient"]
            return exact_moments(torch.from_numpy(rows[unit]) for unit in range(len(rows)))


def _derived(
    about: list[tuple[h5py.Dataset, h5py.Dataset]],
    pooled: h5py.Dataset,
    weight: float,
    labels: np.ndarray,
) -> Iterator[Tensor]:
    """Yield U gradients (P,) derived from the gradients of units and of clusters around."""
    for unit, cluster in enumerate(labels.tolist()):
        low, high = (torch.from_numpy(units[unit] - clusters[cluster]) for units, clusters in about)
        yield torch.lerp(low, high, weight).add_(torch.from_numpy(pooled[cluster]))

"""The low-rank expansion: the gradient table and the curvature in one small shared basis.

With basis rows q_i (Q is q x P) and a displacement d from the path, the gradient G[t, u] + H_u d
of unit u of cluster c is modelled by

    g(t, u, d) = gbar_t + Q' [a_{t,u} + (M_c + D_u' E) Q_r d].

The first r rows Q_r, the readers, span the responses Ybar of the mean curvature and read the
displacement: M_c = R_c' (U' H U)^+ Rbar, with the coordinates R_c and Rbar of the responses of the
cluster and of the mean. D_u' E is the unit's own curvature (`curvature.unit_curvature`). The other
rows, the writers, are principal directions of the parts of the table's deviations and of the
responses that Q_r does not span (`curvature.build_low_rank`). All rows are orthonormal in the norm
of the preconditioner. gbar, a and the path are stored at anchors and interpolated between.

In the file, readers are bytes and writers are half-bytes; `low_rank_rounding` measures the error.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainorder.expansion.replay import Block, sum_over_units
from trainorder.numerics.encoded_rows import (
    from_half_bytes,
    read_encoded,
    to_half_bytes,
    write_encoded,
)
from trainorder.numerics.interpolation import interpolated
from trainorder.numerics.quantize import dequantized, halved, quantized, unhalved
from trainorder.numerics.rows import Rows, blocks
from trainorder.storage.sealed_hdf5 import creating, opened, read_arrays
from trainorder.training.optimizer import ALL, State


@dataclass(frozen=True)
class UnitCores:
    """The curvature M_c + D_u' E of the units in the basis, in its factors.

    Attributes:
        cores: M at the probed steps, (A, C, q, r).
        labels: (U,) int64, cluster of each unit.
        unit_corrections: D, (U, n, q).
        unit_readers: E, (n, r).

    """

    cores: Tensor
    labels: Tensor
    unit_corrections: Tensor
    unit_readers: Tensor

    @classmethod
    def load(cls, path: str | Path, key: str | None) -> "UnitCores":
        """Read the factors alone from what `LowRankExpansion.save` published.

        Raises:
            UserError: the file is missing, damaged or from another study.

        """
        arrays = read_arrays(path, key, "curvature", ("core", "label", "own", "own_read"))
        return cls(*(torch.from_numpy(array) for array in arrays.values()))

    def of_units(self) -> Tensor:
        """Return the curvature of each unit, (A, U, r, q)."""
        corrections = self.unit_corrections.mT @ self.unit_readers
        return (self.cores[:, self.labels] + corrections).mT.contiguous()


@dataclass
class LowRankExpansion:
    """A low-rank expansion. It is also an `ExpansionPath`.

    Attributes:
        start: the state before the window.
        steps: T, the number of steps of the window.
        anchors: (K,) steps.
        anchor_parameters: (K, P) parameters of the path at the anchors.
        mean: (K, P) mean gradient of the units at the anchors.
        basis: Q, (q, P); the first r rows are the readers.
        coefficients: a, (K, U, q).
        probed_steps: (A,) steps at which the curvature was probed.
        cores: M at those steps, (A, C, q, r).
        labels: (U,) int64, cluster of each unit.
        unit_corrections: D, (U, n, q), responses of the units to n directions, minus those of
            their clusters; n is 0 without unit curvature.
        unit_readers: E, (n, r), gives the coordinates in these directions.

    """

    start: State
    steps: int
    anchors: np.ndarray
    anchor_parameters: Rows
    mean: Rows
    basis: Rows
    coefficients: Tensor
    probed_steps: np.ndarray
    cores: Tensor
    labels: Tensor
    unit_corrections: Tensor
    unit_readers: Tensor

    @property
    def first_step(self) -> int:
        """Updates made before the window."""
        return self.start.step

    def state(self, t: int, columns: slice = ALL) -> State:
        """Return the state before the window; `t` must be 0, because later moments are not kept."""
        if t:
            raise ValueError("a low-rank expansion keeps no moments along the path")
        return self.start.columns(columns)

    def parameters(self, t: int, columns: slice = ALL) -> Tensor:
        """Return the path's parameters (P,) before step `t`, interpolated between anchors."""
        return self._interpolated(self.anchor_parameters, t, columns)

    def _interpolated(self, rows: Rows, t: int, columns: slice) -> Tensor:
        return interpolated(self.anchors, t, lambda anchor: rows[anchor][columns])

    def mean_gradient(self, t: int, columns: slice = ALL) -> Tensor:
        """Return gbar_t (P,), or a block of it, interpolated between anchors."""
        return self._interpolated(self.mean, t, columns)

    def coordinates(self, t: int, units: Tensor) -> Tensor:
        """Return the coordinates (O, q) of the units' gradients at the path, `units` (O, k)."""
        return interpolated(self.anchors, t, self.coefficients.__getitem__)[units].mean(1)

    @property
    def unit_cores(self) -> UnitCores:
        """The curvature of the units in the basis."""
        return UnitCores(self.cores, self.labels, self.unit_corrections, self.unit_readers)

    @property
    def readers(self) -> Rows:
        """Q_r, (r, P)."""
        return self.basis[: self.cores.shape[-1]]

    def cores_at(self, t: int) -> Tensor:
        """Return M (C, q, r) at step `t`, interpolated between the steps that were probed."""
        return interpolated(self.probed_steps, t, self.cores.__getitem__)

    def curvature_coordinates(self, t: int, units: Tensor, displacements: Tensor) -> Tensor:
        """Return (M_c + D_u' E) y (O, q), the curvature term in the basis.

        Args:
            t: step of the window.
            units: (O, k) int64, the units of each order's step.
            displacements: y = Q_r d, (O, r), from `displacement_coordinates`.

        """
        cores = self.cores_at(t)
        member = torch.nn.functional.one_hot(self.labels[units], len(cores))
        share = member.to(displacements.dtype).mean(1)  # (O, C)
        result = torch.einsum("oc,coi->oi", share, displacements @ cores.mT)
        read = displacements @ self.unit_readers.T
        for unit, orders in sum_over_units(units) if len(self.unit_readers) else []:
            result.index_add_(
                0, orders, read[orders] @ self.unit_corrections[unit], alpha=1 / units.shape[1]
            )
        return result

    def displacement_coordinates(self, t: int, parameters: Tensor) -> Tensor:
        """Return Q_r d (O, r) of `parameters` (O, P) at step `t`."""
        readers, path = self.readers, partial(self.parameters, t)
        result = parameters.new_zeros(len(parameters), len(readers))
        for theta, path_theta, reader in blocks(Rows(parameters), path, readers):
            result += (theta - path_theta) @ reader.T
        return result

    def curvature(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Return the modelled H_c d, (O, P), for `units` (O, k) at `parameters` (O, P)."""
        read = self.displacement_coordinates(t, parameters)
        return self.basis.combination(self.curvature_coordinates(t, units, read))

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Return the modelled gradients, (O, P), of `units` (O, k) at `parameters` (O, P)."""
        coordinates = self.coordinates(t, units)
        if t:  # at the start there is no displacement
            read = self.displacement_coordinates(t, parameters)
            coordinates = coordinates + self.curvature_coordinates(t, units, read)
        deviation = self.basis.combination(coordinates)
        return lambda columns: deviation(columns).add_(self.mean_gradient(t, columns))

    def save(self, path: str | Path, key: str) -> None:
        """Publish as a sealed file of study `key`."""
        arrays = {
            "anchor": self.anchors,
            "label": self.labels.numpy(),
            "coefficient": self.coefficients.numpy(),
            "bend": self.probed_steps,
            "core": self.cores.numpy(),
            "own": self.unit_corrections.numpy(),
            "own_read": self.unit_readers.numpy(),
        }
        with creating(path, key, steps=self.steps) as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array, fletcher32=True)
            start, writers = self.start.parameters, self.basis[len(self.readers) :]
            write_encoded(file, "reader", self.readers, quantized)
            write_encoded(file, "writer", writers, to_half_bytes)
            write_encoded(file, "centre", self.anchor_parameters, lambda rows: halved(rows - start))
            write_encoded(file, "mean", self.mean, halved)

    @classmethod
    def load(cls, path: str | Path, key: str | None, start: State) -> "LowRankExpansion":
        """Read what `save` published; `start` is the state before the window.

        Raises:
            UserError: the file is missing, damaged or from another study.

        """
        size, dtype = len(start.parameters), start.parameters.dtype
        with opened(path, key, "curvature") as file:
            small = ("anchor", "label", "coefficient", "bend", "core", "own", "own_read")
            arrays = {name: np.asarray(file[name]) for name in small}
            readers, writers, anchors = (len(file[name]) for name in ("reader", "writer", "centre"))
            basis = Rows.empty(readers + writers, size, dtype=dtype)
            anchor_parameters = Rows.empty(anchors, size, dtype=dtype)
            mean = Rows.empty(anchors, size, dtype=dtype)
            read_encoded(file, "reader", basis, dequantized)
            read_encoded(file, "writer", basis[readers:], partial(from_half_bytes, size))
            read_encoded(
                file, "centre", anchor_parameters, lambda *part: unhalved(*part) + start.parameters
            )
            read_encoded(file, "mean", mean, unhalved)
            steps = int(file.attribute("steps"))
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return cls(
            start=start,
            steps=steps,
            anchors=arrays["anchor"],
            anchor_parameters=anchor_parameters,
            mean=mean,
            basis=basis,
            coefficients=tensors["coefficient"],
            probed_steps=arrays["bend"],
            cores=tensors["core"],
            labels=tensors["label"],
            unit_corrections=tensors["own"],
            unit_readers=tensors["own_read"],
        )

"""The low-rank expansion: gradient table and curvature in one shared basis, small enough to keep.

With basis rows q_i (Q is q x P), anchors in t and displacement d from the path,

    g(t, u, d) = gbar_t + Q' [a_{t,u} + (M_c + D_u' E) Q_r d],    c the cluster of unit u,

a low-rank model of `G[t, u] + H_u d`. The first r rows Q_r span the responses of the mean
curvature, Ybar, which read a displacement: M_c = R_c' (U' H U)^+ Rbar with R_c and Rbar the
coordinates of the responses of the cluster and of the mean. D_u' E is what the unit's own curvature
adds (`trainorder.unit_curvature`). The other rows are only written with: the principal directions
of what Q_r leaves of the table's deviations and of the responses, as far as replays use them. All
are orthonormal in the norm of the preconditioner. Q_r is kept as bytes, the others as half-bytes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.curvature import Curvature, CurvatureAlong
from trainorder.estimators.base import Expansion, sum_over_units
from trainorder.interpolation import interpolated
from trainorder.optimizer import ALL, State
from trainorder.quantize import (
    FEW_LEVELS,
    dequantized,
    halved,
    packed,
    quantized,
    unhalved,
    unpacked,
)
from trainorder.store import creating, opened


@dataclass
class LowRank:
    """A low-rank expansion, read as the path that it is about.

    Attributes:
        start: the state before the window.
        steps: T.
        anchors: (K,) steps.
        centre: (K, P) parameters of the path at the anchors.
        mean: (K, P) mean gradient of the units at the anchors.
        basis: Q, (q, P), the rows that displacements are read with first.
        coefficients: a, (K, U, q).
        bends: (A,) steps at which the curvature was probed.
        cores: M at those steps, (A, C, q, r).
        labels: (U,) int64, cluster of each unit.
        own: D, (U, n, q), own responses of the units less those of their clusters; n may be 0.
        own_read: E, (n, r), reads what they respond to.

    """

    start: State
    steps: int
    anchors: np.ndarray
    centre: Tensor
    mean: Tensor
    basis: Tensor
    coefficients: Tensor
    bends: np.ndarray
    cores: Tensor
    labels: Tensor
    own: Tensor
    own_read: Tensor

    @property
    def first_step(self) -> int:
        """Updates made before the window."""
        return self.start.step

    def state(self, t: int, columns: slice = ALL) -> State:
        """Return the state before the window; the path's later moments are not kept."""
        if t:
            raise ValueError("a low-rank expansion keeps no moments along the path")
        return self.start.columns(columns)

    def parameters(self, t: int, columns: slice = ALL) -> Tensor:
        """Return the path's parameters (P,) before step `t`, interpolated between anchors."""
        return self._between(self.centre, t)[columns]

    def _between(self, rows: Tensor, t: int) -> Tensor:
        return interpolated(self.anchors, t, rows.__getitem__)

    def mean_gradient(self, t: int) -> Tensor:
        """Return gbar_t (P,), interpolated between anchors."""
        return self._between(self.mean, t)

    def coordinates(self, t: int, units: Tensor) -> Tensor:
        """Return the coordinates (O, q) of the units' gradients at the path, `units` (O, k)."""
        return self._between(self.coefficients, t)[units].mean(1)

    @property
    def readers(self) -> Tensor:
        """Q_r, (r, P)."""
        return self.basis[: self.cores.shape[-1]]

    def cores_at(self, t: int) -> Tensor:
        """Return M (C, q, r) at step `t`, interpolated between the steps that were probed."""
        return interpolated(self.bends, t, self.cores.__getitem__)

    def bent(self, t: int, units: Tensor, moved: Tensor) -> Tensor:
        """Return (M_c + D_u' E) Q_r d (O, q) for `units` (O, k) and Q_r d = `moved` (O, r)."""
        cores = self.cores_at(t)
        member = torch.nn.functional.one_hot(self.labels[units], len(cores))
        share = member.to(moved.dtype).mean(1)  # (O, C)
        result = torch.einsum("oc,coi->oi", share, moved @ cores.mT)
        read = moved @ self.own_read.T
        for unit, orders in sum_over_units(units) if len(self.own_read) else []:
            result.index_add_(0, orders, read[orders] @ self.own[unit], alpha=1 / units.shape[1])
        return result

    def moved(self, t: int, parameters: Tensor) -> Tensor:
        """Return Q_r d (O, r) of `parameters` (O, P) at step `t`."""
        return (parameters - self.parameters(t)) @ self.readers.T

    def curvature(self, t: int, units: Tensor, parameters: Tensor) -> Tensor:
        """Return the modelled H_c d (O, P) for `units` (O, k) at `parameters` (O, P)."""
        return self.bent(t, units, self.moved(t, parameters)) @ self.basis

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Tensor:
        """Return the modelled gradients (O, P) of `units` (O, k) at `parameters` (O, P)."""
        inside = self.coordinates(t, units)
        if t:  # at the start there is no displacement
            inside = inside + self.bent(t, units, self.moved(t, parameters))
        return (inside @ self.basis).add_(self.mean_gradient(t))

    def save(self, path: str | Path, key: str, **records: Any) -> None:
        """Publish as a sealed file of study `key`, with `records` as attributes."""
        arrays: dict[str, np.ndarray] = {
            "anchor": self.anchors,
            "label": self.labels.numpy(),
            "coefficient": self.coefficients.numpy(),
            "bend": self.bends,
            "core": self.cores.numpy(),
            "own": self.own.numpy(),
            "own_read": self.own_read.numpy(),
        }
        codes, scale = quantized(self.basis[len(self.readers) :], FEW_LEVELS)
        parts = {
            "reader": quantized(self.readers),
            "writer": (packed(codes), scale),
            "centre": halved(self.centre - self.start.parameters),
            "mean": halved(self.mean),
        }
        for name, (values, scale) in parts.items():
            arrays |= {name: values.numpy(), f"{name}_scale": scale.numpy()}
        with creating(path, key, steps=self.steps, **records) as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array, fletcher32=array.ndim > 0)

    @classmethod
    def load(cls, path: str | Path, key: str | None, start: State) -> "LowRank":
        """Read what `save` published, about the state before the window.

        Raises:
            UserError: missing, damaged, or of another study.

        """
        with opened(path, key, "curvature") as file:
            arrays = {name: np.asarray(file[name]) for name in file}
            steps = int(file.attrs["steps"])
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        codes = unpacked(tensors["writer"], len(start.parameters))
        parts = [
            dequantized(tensors["reader"], tensors["reader_scale"]),
            dequantized(codes, tensors["writer_scale"]),
        ]
        centre, mean = (
            unhalved(tensors[name], tensors[f"{name}_scale"]) for name in ("centre", "mean")
        )
        return cls(
            start,
            steps,
            arrays["anchor"],
            start.parameters + centre,
            mean,
            torch.cat(parts),
            tensors["coefficient"],
            arrays["bend"],
            tensors["core"],
            tensors["label"],
            tensors["own"],
            tensors["own_read"],
        )


def compress(
    expansion: Expansion,
    curvature: CurvatureAlong,
    labels: np.ndarray,
    displacements: Tensor,
    metric: Tensor,
    size: int,
) -> tuple[LowRank, float]:
    """Return the low-rank expansion of rank `size`, and the share of the energy it leaves out.

    Table deviations count as often as a replay meets them, once a step; the responses as strongly
    as `displacements` (n, P), typical of replays, excite them. `metric` (P,) is as in
    `probes.second_moment_scale`.
    """
    if expansion.table is None:
        raise ValueError("compression reads the gradient table")
    path, table = expansion.path, expansion.table
    anchors = path.anchors
    rows = torch.stack([table.at(int(t)) for t in anchors])  # (K, U, P)
    mean = rows.mean(1)
    deviations = rows.sub_(mean[:, None]).div_(metric)
    count = len(anchors) * rows.shape[1]
    weighted = [deviations.flatten(0, 1) * (path.steps / count) ** 0.5]
    common = []
    for bend in curvature.at:
        root = _excitation(bend, displacements) * (path.steps / len(curvature.at)) ** 0.5
        common.append(root.T @ (bend.mean / metric))
        weighted += [
            root.T @ (bend.shrunk(c) / metric) * float(share) ** 0.5
            for c, share in enumerate(bend.shares)
        ]
    readers = _spanned(torch.cat(common))[: min(curvature.rank, size)]
    writers, lost = _leading(torch.cat(weighted), readers, size - len(readers))
    basis = torch.cat([readers, writers])
    result = LowRank(
        path.state(0),
        path.steps,
        anchors,
        torch.stack([path.parameters(int(t)) for t in anchors]),
        mean,
        basis * metric,
        deviations @ basis.T,
        curvature.steps,
        torch.stack([_cores(bend, basis / metric, len(readers)) for bend in curvature.at]),
        torch.from_numpy(labels),
        basis.new_zeros(rows.shape[1], 0, len(basis)),
        basis.new_zeros(0, len(readers)),
    )
    return result, lost


def _excitation(curvature: Curvature, displacements: Tensor) -> Tensor:
    """Return S (r, r) such that S' Y are responses as strong as displacements excite them."""
    z = curvature.coordinates(displacements).double()
    values, vectors = torch.linalg.eigh(z.T @ z / len(z))
    root: Tensor = vectors * values.clamp(min=0).sqrt()
    return root.to(displacements.dtype)


def _cores(curvature: Curvature, functionals: Tensor, readers: int) -> Tensor:
    """Return M (C, q, r) of the clusters, read by the `functionals` (q, P) of the basis."""
    clusters = range(len(curvature.shares))
    own = torch.stack([curvature.shrunk(c) @ functionals.T for c in clusters])  # (C, n, q)
    common = curvature.mean @ functionals[:readers].T  # not the mean of `own`, unevenly shrunk
    return torch.einsum("cnq,nm,mr->cqr", own, curvature.inverse, common)


def _spanned(rows: Tensor) -> Tensor:
    """Return an orthonormal basis of the span of `rows` (n, P), its principal directions first.

    By their Gram matrix in double precision: for single-precision rows as exact as by their own
    decomposition, and many times faster.
    """
    exact = rows.double()
    values, combined = torch.linalg.eigh(exact @ exact.T)
    floor = (len(rows) * torch.finfo(rows.dtype).eps) ** 2  # of an energy that is more than noise
    kept = values > values[-1] * max(floor, len(rows) * torch.finfo(exact.dtype).eps)
    basis = (combined[:, kept] / values[kept].sqrt()).T.flip(0) @ exact
    result: Tensor = basis.to(rows.dtype)
    return result


def _leading(rows: Tensor, given: Tensor, size: int) -> tuple[Tensor, float]:
    """Return the leading directions (n, P) of what `given` (r, P) leaves of `rows`; n <= `size`.

    Orthonormal, and to `given`. Also the share of the energy of `rows` that both leave out.
    """
    energy = float(torch.linalg.vector_norm(rows)) ** 2
    rest = torch.addmm(rows, rows @ given.T, given, alpha=-1)
    values, combined = torch.linalg.eigh((rest @ rest.T).double())
    values, combined = values.flip(0).clamp(min=0), combined.flip(1)
    count = min(size, int((values > energy * torch.finfo(rows.dtype).eps).sum()))
    basis = combined[:, :count].T.to(rows.dtype) @ rest
    return basis / basis.norm(dim=1, keepdim=True), float(values[count:].sum()) / energy

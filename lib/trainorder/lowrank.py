"""The low-rank expansion: gradient table and curvature in one shared basis, small enough to keep.

With basis rows q_i (Q is q x P), anchors in t and displacement d from the path,

    g(t, u, d) = gbar_t + Q' (a_{t,u} + M_c Q d),    c the cluster of unit u,

a symmetric-in-form low-rank model of `G[t, u] + H_c d`: a are the coordinates of the table's
deviations from their mean, M_c = R_c' (U' H U)^+ R holds those of the responses of the cluster
(R_c) and of the mean (R). Q spans the principal directions of both, as far as replays use them, in
the norm of the preconditioner, and is kept as signed bytes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.curvature import Curvature, CurvatureAlong
from trainorder.estimators.base import Expansion
from trainorder.interpolation import bracket
from trainorder.optimizer import State
from trainorder.quantize import dequantized, halved, quantized, unhalved
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
        basis: Q, (q, P).
        coefficients: a, (K, U, q).
        bends: (A,) steps at which the curvature was probed.
        cores: M at those steps, (A, C, q, q).
        labels: (U,) int64, cluster of each unit.

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

    @property
    def first_step(self) -> int:
        """Updates made before the window."""
        return self.start.step

    def state(self, t: int) -> State:
        """Return the state before the window; the path's later moments are not kept."""
        if t:
            raise ValueError("a low-rank expansion keeps no moments along the path")
        return self.start

    def parameters(self, t: int) -> Tensor:
        """Return the path's parameters (P,) before step `t`, interpolated between anchors."""
        return self._between(self.centre, t)

    def _between(self, rows: Tensor, t: int) -> Tensor:
        low, high, weight = bracket(self.anchors, t)
        return torch.lerp(rows[low], rows[high], weight)

    def mean_gradient(self, t: int) -> Tensor:
        """Return gbar_t (P,), interpolated between anchors."""
        return self._between(self.mean, t)

    def coordinates(self, t: int, units: Tensor) -> Tensor:
        """Return the coordinates (O, q) of the units' gradients at the path, `units` (O, k)."""
        return self._between(self.coefficients, t)[units].mean(1)

    def cores_at(self, t: int) -> Tensor:
        """Return M (C, q, q) at step `t`, interpolated between the steps that were probed."""
        low, high, weight = bracket(self.bends, t)
        return torch.lerp(self.cores[low], self.cores[high], weight)

    def bent(self, t: int, units: Tensor, moved: Tensor) -> Tensor:
        """Return M_c Q d (O, q) for `units` (O, k) and Q d = `moved` (O, q)."""
        cores = self.cores_at(t)
        member = torch.nn.functional.one_hot(self.labels[units], len(cores))
        share = member.to(moved.dtype).mean(1)  # (O, C)
        return torch.einsum("oc,coi->oi", share, moved @ cores.mT)

    def moved(self, t: int, parameters: Tensor) -> Tensor:
        """Return Q d (O, q) of `parameters` (O, P) at step `t`."""
        return (parameters - self.parameters(t)) @ self.basis.T

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
        packed: dict[str, np.ndarray] = {
            "anchor": self.anchors,
            "label": self.labels.numpy(),
            "coefficient": self.coefficients.numpy(),
            "bend": self.bends,
            "core": self.cores.numpy(),
        }
        moved = self.centre - self.start.parameters
        parts = {
            "basis": quantized(self.basis), "centre": halved(moved), "mean": halved(self.mean)
        }  # fmt: skip
        for name, (values, scale) in parts.items():
            packed |= {name: values.numpy(), f"{name}_scale": scale.numpy()}
        with creating(path, key, steps=self.steps, **records) as file:
            for name, array in packed.items():
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
        basis = dequantized(tensors["basis"], tensors["basis_scale"])
        centre, mean = (
            unhalved(tensors[name], tensors[f"{name}_scale"]) for name in ("centre", "mean")
        )
        return cls(
            start,
            steps,
            arrays["anchor"],
            start.parameters + centre,
            mean,
            basis,
            tensors["coefficient"],
            arrays["bend"],
            tensors["core"],
            tensors["label"],
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
    deviations = (rows - mean[:, None]) / metric
    count = len(anchors) * rows.shape[1]
    weighted = [deviations.flatten(0, 1) * (path.steps / count) ** 0.5]
    for bend in curvature.at:
        weight = path.steps / len(curvature.at)
        weighted += _excited_responses(bend, displacements, metric, weight)
    basis, lost = _leading(torch.cat(weighted), size)
    cores = torch.stack([_cores(bend, basis / metric) for bend in curvature.at])
    result = LowRank(
        path.state(0),
        path.steps,
        anchors,
        torch.stack([path.parameters(int(t)) for t in anchors]),
        mean,
        basis * metric,
        deviations @ basis.T,
        curvature.steps,
        cores,
        torch.from_numpy(labels),
    )
    return result, lost


def _excited_responses(
    curvature: Curvature, displacements: Tensor, metric: Tensor, weight: float
) -> list[Tensor]:
    """Return each cluster's responses over `metric`, as strongly as displacements excite them."""
    z = curvature.coordinates(displacements).double()
    excited = _square_root(z.T @ z / len(z)).to(displacements.dtype)
    return [
        excited.T @ (curvature.shrunk(c) / metric) * float(weight * share) ** 0.5
        for c, share in enumerate(curvature.shares)
    ]


def _cores(curvature: Curvature, functionals: Tensor) -> Tensor:
    """Return M (C, q, q) of the clusters, read by the `functionals` (q, P) of the basis."""
    clusters = range(len(curvature.shares))
    own = torch.stack([curvature.shrunk(c) @ functionals.T for c in clusters])  # (C, r, q)
    common = curvature.mean @ functionals.T  # not the mean of `own`, which are shrunk unevenly
    return torch.einsum("crq,rs,sp->cqp", own, curvature.inverse, common)


def _square_root(square: Tensor) -> Tensor:
    """Return S (r, r) with S S' = `square`, positive semi-definite."""
    values, vectors = torch.linalg.eigh(square)
    root: Tensor = vectors * values.clamp(min=0).sqrt()
    return root


def _leading(rows: Tensor, size: int) -> tuple[Tensor, float]:
    """Return an orthonormal basis (q, P) of the leading directions of `rows`, and what it loses."""
    values, combined = torch.linalg.eigh((rows @ rows.T).double())
    values, combined = values.flip(0).clamp(min=0), combined.flip(1)
    count = min(size, int((values > 1e-12 * values[0]).sum()))
    basis = combined[:, :count].T.to(rows.dtype) @ rows
    lost = float(values[count:].sum() / values.sum())
    return basis / basis.norm(dim=1, keepdim=True), lost

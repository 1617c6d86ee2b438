"""The low-rank expansion: gradient table and curvature in one shared basis, small enough to keep.

With basis rows q_i (Q is q x P), anchors in t and displacement d from the path,

    g(t, u, d) = gbar_t + Q' [a_{t,u} + (M_c + D_u' E) Q_r d],    c the cluster of unit u,

a low-rank model of `G[t, u] + H_u d`. The first r rows Q_r span the responses of the mean
curvature, Ybar, which read a displacement: M_c = R_c' (U' H U)^+ Rbar with R_c and Rbar the
coordinates of the responses of the cluster and of the mean. D_u' E is what the unit's own curvature
adds (`curvature.unit_curvature`). The other rows are only written with: the principal directions
of what Q_r leaves of the table's deviations and of the responses, as far as replays use them. All
are orthonormal in the norm of the preconditioner. Q_r is kept as bytes, the others as half-bytes;
`rounding` measures what that costs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from trainorder.curvature.cluster_curvature import ClusterCurvature, CurvatureAlongPath
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.replay import Block, sum_over_units
from trainorder.numerics import large_tensors
from trainorder.numerics.interpolation import interpolated
from trainorder.numerics.quantize import (
    FEW_LEVELS,
    dequantized,
    halved,
    packed,
    quantized,
    unhalved,
    unpacked,
)
from trainorder.storage.sealed_hdf5 import create_rows, creating, opened
from trainorder.training.optimizer import ALL, State


@dataclass
class LowRankExpansion:
    """A low-rank expansion, read as the path that it is about.

    Attributes:
        start: the state before the window.
        steps: T.
        anchors: (K,) steps.
        anchor_parameters: (K, P) parameters of the path at the anchors.
        mean: (K, P) mean gradient of the units at the anchors.
        basis: Q, (q, P), the rows that displacements are read with first.
        coefficients: a, (K, U, q).
        probed_steps: (A,) steps at which the curvature was probed.
        cores: M at those steps, (A, C, q, r).
        labels: (U,) int64, cluster of each unit.
        unit_corrections: D, (U, n, q), responses of the units minus those of their clusters;
            n may be 0.
        unit_readers: E, (n, r), reads what they respond to.

    """

    start: State
    steps: int
    anchors: np.ndarray
    anchor_parameters: Tensor
    mean: Tensor
    basis: Tensor
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
        """Return the state before the window; the path's later moments are not kept."""
        if t:
            raise ValueError("a low-rank expansion keeps no moments along the path")
        return self.start.columns(columns)

    def parameters(self, t: int, columns: slice = ALL) -> Tensor:
        """Return the path's parameters (P,) before step `t`, interpolated between anchors."""
        return self._between(self.anchor_parameters, t, columns)

    def _between(self, rows: Tensor, t: int, columns: slice = ALL) -> Tensor:
        return interpolated(self.anchors, t, lambda place: rows[place, ..., columns])

    def mean_gradient(self, t: int, columns: slice = ALL) -> Tensor:
        """Return gbar_t (P,), or a block of it, interpolated between anchors."""
        return self._between(self.mean, t, columns)

    def coordinates(self, t: int, units: Tensor) -> Tensor:
        """Return the coordinates (O, q) of the units' gradients at the path, `units` (O, k)."""
        return self._between(self.coefficients, t)[units].mean(1)

    @property
    def readers(self) -> Tensor:
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
        readers = self.readers
        result = parameters.new_zeros(len(parameters), len(readers))
        for columns in large_tensors.column_blocks(sum(result.shape), parameters.shape[1]):
            deltas = parameters[:, columns] - self.parameters(t, columns)
            result += deltas @ readers[:, columns].T
        return result

    def curvature(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Return the modelled H_c d, (O, P), for `units` (O, k) at `parameters` (O, P)."""
        inside = self.curvature_coordinates(t, units, self.displacement_coordinates(t, parameters))
        return lambda columns: inside @ self.basis[:, columns]

    def gradients(self, t: int, units: Tensor, parameters: Tensor) -> Block:
        """Return the modelled gradients, (O, P), of `units` (O, k) at `parameters` (O, P)."""
        inside = self.coordinates(t, units)
        if t:  # at the start there is no displacement
            inside = inside + self.curvature_coordinates(
                t, units, self.displacement_coordinates(t, parameters)
            )
        return lambda columns: (inside @ self.basis[:, columns]).add_(
            self.mean_gradient(t, columns)
        )

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
            _write(file, "reader", self.readers, quantized)
            _write(file, "writer", self.basis[len(self.readers) :], _few)
            _write(
                file,
                "centre",
                self.anchor_parameters,
                lambda rows: halved(rows - self.start.parameters),
            )
            _write(file, "mean", self.mean, halved)

    @classmethod
    def load(cls, path: str | Path, key: str | None, start: State) -> "LowRankExpansion":
        """Read what `save` published, about the state before the window.

        Raises:
            UserError: missing, damaged, or of another study.

        """
        size, dtype = len(start.parameters), start.parameters.dtype
        with opened(path, key, "curvature") as file:
            small = ("anchor", "label", "coefficient", "bend", "core", "own", "own_read")
            arrays = {name: np.asarray(file[name]) for name in small}
            counts = {name: len(file[name]) for name in ("reader", "writer", "centre")}
            basis = large_tensors.empty(counts["reader"] + counts["writer"], size, dtype=dtype)
            centre, mean = (large_tensors.empty(counts["centre"], size, dtype=dtype) for _ in "cm")
            _read(file, "reader", basis, dequantized)
            _read(file, "writer", basis[counts["reader"] :], partial(_of_few, size))
            _read(file, "centre", centre, lambda *part: unhalved(*part) + start.parameters)
            _read(file, "mean", mean, unhalved)
            steps = int(file.attribute("steps"))
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return cls(
            start,
            steps,
            arrays["anchor"],
            centre,
            mean,
            basis,
            tensors["coefficient"],
            arrays["bend"],
            tensors["core"],
            tensors["label"],
            tensors["own"],
            tensors["own_read"],
        )


def rounding(
    exact: LowRankExpansion, kept: LowRankExpansion, directions: Tensor, metric: Tensor, t: int
) -> dict[str, float | None]:
    """Return how far `kept`, which was rounded, is off `exact` at step `t`, relative to it.

    `table` is of what the units' gradients on the path differ by from their mean; `curvature` of
    what a displacement adds to them, one for each unit, drawn along `directions` (n, P), each as
    long as displacements reach along it: None without any. Both are ratios of root mean squares
    over the units, in the norm of the preconditioner, |g / `metric`|.
    """
    units = torch.arange(len(exact.labels))[:, None]
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(len(units), len(directions), generator=generator, dtype=metric.dtype)
    inside = []
    for model in (exact, kept):  # (2, U, q) of table and curvature
        off = torch.sub(exact.parameters(t), model.parameters(t))[None]
        moved = drawn @ large_tensors.inner_products(directions, model.readers)
        moved += large_tensors.inner_products(off, model.readers)
        inside.append(
            torch.stack([model.coordinates(t, units), model.curvature_coordinates(t, units, moved)])
        )
    size, error = (torch.zeros(2, dtype=torch.float64) for _ in "se")
    for columns in large_tensors.column_blocks(4 * len(units) + 2 * len(exact.basis), len(metric)):
        true, found = (
            rows @ model.basis[:, columns]
            for rows, model in zip(inside, (exact, kept), strict=True)
        )
        found[0] += kept.mean_gradient(t, columns) - exact.mean_gradient(t, columns)
        for total, rows in ((size, true), (error, found - true)):
            total += (rows / metric[columns]).double().square().sum((1, 2))
    ratios = [float((off / of).sqrt()) if of else None for off, of in zip(error, size, strict=True)]
    return dict(zip(("table", "curvature"), ratios, strict=True))


Encode = Callable[[Tensor], tuple[Tensor, Tensor]]


def _few(rows: Tensor) -> tuple[Tensor, Tensor]:
    codes, scale = quantized(rows, FEW_LEVELS)
    return packed(codes), scale


def _of_few(size: int, pairs: Tensor, scale: Tensor) -> Tensor:
    return dequantized(unpacked(pairs, size), scale)


def _write(file: h5py.File, name: str, rows: Tensor, encode: Encode) -> None:
    """Add `rows` (n, P), encoded one at a time, and their scales."""
    made = [
        create_rows(file, part, (len(rows), *like.shape[1:]), like.numpy().dtype.str)
        for part, like in zip((name, f"{name}_scale"), encode(rows[:0]), strict=True)
    ]
    for i in range(len(rows)):
        for dataset, part in zip(made, encode(rows[i : i + 1]), strict=True):
            dataset[i] = part[0].numpy()
        large_tensors.release_pages()


def _read(
    file: h5py.File, name: str, rows: Tensor, decode: Callable[[Tensor, Tensor], Tensor]
) -> None:
    """Fill the first of `rows` (n, P) with what was encoded."""
    codes, scales = file[name], file[f"{name}_scale"]
    for i in range(len(codes)):
        part = (torch.from_numpy(dataset[i : i + 1]) for dataset in (codes, scales))
        rows[i] = decode(*part)[0]
        large_tensors.release_pages()


def compress(
    expansion: Expansion,
    curvature: CurvatureAlongPath,
    labels: np.ndarray,
    displacements: Tensor,
    metric: Tensor,
    size: int,
) -> tuple[LowRankExpansion, float]:
    """Return the low-rank expansion of rank `size`, and the share of the energy it leaves out.

    Table deviations count as often as a replay meets them, once a step; the responses as strongly
    as `displacements` (n, P), typical of replays, excite them. `metric` (P,) is as in
    `probes.second_moment_scale`.
    """
    path, anchors = expansion.path, expansion.path.anchors
    count, units = len(anchors) * len(labels), len(labels)
    clusters = len(curvature.at) * len(curvature.middle.responses)
    rows = large_tensors.empty(count + clusters * curvature.rank, len(metric), dtype=metric.dtype)
    mean = _deviations(expansion, metric, rows[:count].unflatten(0, (len(anchors), units)))
    common = _excited(curvature, displacements, metric, path.steps, rows[count:])
    readers = _spanned(common)[: min(curvature.rank, size)]
    weight = torch.ones(len(rows), dtype=metric.dtype)
    weight[:count] = (path.steps / count) ** 0.5
    inside, writers, lost = _leading(rows, weight, readers, size - len(readers))
    basis = large_tensors.join([readers, writers])
    coefficients = torch.cat(
        [inside[:count], large_tensors.inner_products(rows[:count], writers)], 1
    )
    cores = [_cores(bend, basis, metric, len(readers)) for bend in curvature.at]
    for columns in large_tensors.column_blocks(*basis.shape):
        basis[:, columns] *= metric[columns]
    result = LowRankExpansion(
        path.state(0),
        path.steps,
        anchors,
        large_tensors.stack(map(path.parameters, anchors.tolist()), mean.shape, mean.dtype),
        mean,
        basis,
        coefficients.unflatten(0, (len(anchors), units)),
        curvature.steps,
        torch.stack(cores),
        torch.from_numpy(labels),
        basis.new_zeros(units, 0, len(basis)),
        basis.new_zeros(0, len(readers)),
    )
    return result, lost


def _deviations(expansion: Expansion, metric: Tensor, result: Tensor) -> Tensor:
    """Return the mean over units of the table's gradients, (K, P).

    What each differs by, over `metric`, is left in `result` (K, U, P).
    """
    anchors, units, size = result.shape
    for place, t in enumerate(expansion.path.anchors.tolist()):
        for unit in range(units):
            result[place, unit] = expansion.gradients(t, torch.tensor([[unit]]))[0]
            large_tensors.release_pages()
    mean = large_tensors.empty(anchors, size, dtype=metric.dtype)
    for columns in large_tensors.column_blocks(anchors * units, size):
        mean[:, columns] = result[..., columns].mean(1)
        result[..., columns] -= mean[:, None, columns]
        result[..., columns] /= metric[columns]
    return mean


def _excited(
    curvature: CurvatureAlongPath, displacements: Tensor, metric: Tensor, steps: int, result: Tensor
) -> Tensor:
    """Return responses as strong as `displacements` excite them in a replay, over `metric`.

    Returned are those of the mean curvature, (A r, P); those of the clusters, by the square root of
    their shares, are left in `result` (A C r, P).
    """
    roots = [_excitation(bend, displacements) for bend in curvature.at]
    times = (steps / len(roots)) ** 0.5
    shares = [float(share) ** 0.5 for share in curvature.middle.shares]
    shape, rank = (len(roots), len(shares)), curvature.rank
    common = large_tensors.empty(len(roots), rank, len(metric), dtype=metric.dtype)
    own = result.unflatten(0, (*shape, rank))
    for columns in large_tensors.column_blocks(rank * len(shares), len(metric)):
        for i, (bend, root) in enumerate(zip(curvature.at, roots, strict=True)):
            weight = times * root.T
            common[i, :, columns] = weight @ (bend.mean[:, columns] / metric[columns])
            for c, share in enumerate(shares):
                own[i, c, :, columns] = share * weight @ (bend.shrunk(c, columns) / metric[columns])
    return common.flatten(0, 1)


def _excitation(curvature: ClusterCurvature, displacements: Tensor) -> Tensor:
    """Return S (r, r) such that S' Y are responses as strong as displacements excite them."""
    z = curvature.coordinates(displacements).double()
    values, directions = torch.linalg.eigh(z.T @ z / len(z))
    root: Tensor = directions * values.clamp(min=0).sqrt()
    return root.to(displacements.dtype)


def _cores(curvature: ClusterCurvature, basis: Tensor, metric: Tensor, readers: int) -> Tensor:
    """Return M (C, q, r) of the clusters, read by the functionals `basis` (q, P) over `metric`."""
    over = metric.reciprocal()
    common = large_tensors.inner_products(
        curvature.mean, basis, over
    )  # not the mean of `own`, unevenly shrunk
    own = torch.stack(
        [
            torch.lerp(common, large_tensors.inner_products(rows, basis, over), float(factor))
            for rows, factor in zip(curvature.responses, curvature.factors, strict=True)
        ]
    )  # (C, n, q)
    return torch.einsum("cnq,nm,mr->cqr", own, curvature.inverse, common[:, :readers])


def _spanned(rows: Tensor) -> Tensor:
    """Return an orthonormal basis of the span of `rows` (n, P), its principal directions first.

    By their Gram matrix in double precision: for single-precision rows as exact as by their own
    decomposition, and many times faster.
    """
    exact = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for columns in large_tensors.column_blocks(*rows.shape):
        block = rows[:, columns].double()
        exact += block @ block.T
    values, combined = torch.linalg.eigh(exact)
    floor = (len(rows) * torch.finfo(rows.dtype).eps) ** 2  # of an energy that is more than noise
    kept = values > values[-1] * max(floor, len(rows) * torch.finfo(exact.dtype).eps)
    weights = (combined[:, kept] / values[kept].sqrt()).T.flip(0)
    result = large_tensors.empty(len(weights), rows.shape[1], dtype=rows.dtype)
    for columns in large_tensors.column_blocks(sum(weights.shape), rows.shape[1]):
        result[:, columns] = (weights @ rows[:, columns].double()).to(rows.dtype)
    return result


def _leading(
    rows: Tensor, weight: Tensor, given: Tensor, size: int
) -> tuple[Tensor, Tensor, float]:
    """Return the leading directions of what `given` (r, P) leaves of `rows` (m, P).

    Rows count as far as `weight` (m,) says; of them is left what `given` leaves. Returns what is
    taken away, (m, r) times `given`; the directions (n, P), n <= `size`, orthonormal, and to
    `given`; and the share of the energy of the weighted rows that both leave out.
    """
    energy = float(weight.square() @ large_tensors.squared_norms(rows))
    inside = large_tensors.inner_products(rows, given)
    gram = rows.new_zeros(len(rows), len(rows))
    for columns in large_tensors.column_blocks(len(rows) + len(given), rows.shape[1]):
        rows[:, columns] -= inside @ given[:, columns]
        gram += rows[:, columns] @ rows[:, columns].T
    values, combined = torch.linalg.eigh((weight[:, None] * gram * weight).double())
    values, combined = values.flip(0).clamp(min=0), combined.flip(1)
    count = min(size, int((values > energy * torch.finfo(rows.dtype).eps).sum()))
    basis = large_tensors.combine(combined[:, :count].T.to(rows.dtype) * weight, rows)
    large_tensors.scale_rows(basis, large_tensors.squared_norms(basis).rsqrt())
    return inside, basis, float(values[count:].sum()) / energy

"""What a unit's own curvature adds to that of its cluster, in the directions that matter most.

In the leading directions W (n x P) of typical displacements, the response of every unit is measured
on a few of its sequences. Its difference from the response of the cluster is shrunk by its noise:

    H_u d = H_c d + w_u (H_u W - H_c W)' y,    y = (W' H W)^+ (H W)' d

The coordinates y are taken in the metric of the mean curvature, as in `cluster_curvature`. All
responses are projected on the basis of the low-rank expansion. Several jobs can measure different
units.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainorder.curvature.cluster_curvature import Responses
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.errors import UserError
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.numerics import large_tensors
from trainorder.numerics.gram import principal, pseudo_inverse
from trainorder.numerics.rows import Rows
from trainorder.numerics.shrinkage import split_noise, weights
from trainorder.storage.sealed_hdf5 import creating, opened, read_arrays
from trainorder.training.optimizer import State
from trainorder.training.problem import Problem

# Attributes of a `LowRankExpansion` (rows, and small arrays), with their datasets in `probed.h5`.
_LARGE = {"anchor_parameters": "centre", "mean": "mean", "basis": "basis"}
_SMALL = {
    "anchors": "anchors",
    "coefficients": "coefficients",
    "probed_steps": "bends",
    "cores": "cores",
    "labels": "labels",
    "unit_corrections": "own",
    "unit_readers": "own_read",
}


@dataclass(frozen=True)
class ProbedExpansion:
    """The curvature of the clusters, and the directions in which the units are measured.

    Attributes:
        model: the low-rank expansion of the clusters.
        metric: (P,), see `second_moment_scale`.
        directions: W, (n, P), each as long as displacements reach along it.
        length: the length of the finite differences.

    """

    model: LowRankExpansion
    metric: Tensor
    directions: Rows
    length: float

    @property
    def step(self) -> int:
        """The step of the window at which units are measured."""
        return int(self.model.probed_steps[len(self.model.probed_steps) // 2])

    def save(self, path: str | Path, key: str) -> None:
        """Publish all of it, unrounded, as a sealed file of study `key`."""
        with creating(path, key, steps=self.model.steps, length=self.length) as file:
            large_tensors.write(file, "metric", self.metric)
            self.directions.write(file, "directions")
            for attribute, name in _LARGE.items():
                getattr(self.model, attribute).write(file, name)
            for attribute, name in _SMALL.items():
                file.create_dataset(name, data=np.asarray(getattr(self.model, attribute)))

    @classmethod
    def load(cls, path: str | Path, key: str | None, start: State) -> "ProbedExpansion":
        """Read what `save` published; `start` is the state before the window.

        Raises:
            UserError: the file is missing, damaged or from another study.

        """
        with opened(path, key, "probes") as file:
            steps, length = int(file.attribute("steps")), float(file.attribute("length"))
            metric = large_tensors.read(file["metric"])
            directions = Rows.read(file["directions"])
            model: dict[str, Any] = {
                attribute: Rows.read(file[name]) for attribute, name in _LARGE.items()
            }
            arrays = {attribute: np.asarray(file[name]) for attribute, name in _SMALL.items()}
        model |= {name: torch.from_numpy(array) for name, array in arrays.items()}
        model |= {name: arrays[name] for name in ("anchors", "probed_steps")}
        return cls(LowRankExpansion(start, steps, **model), metric, directions, length)


def leading(displacements: Rows, metric: Tensor, count: int) -> Rows:
    """Return up to `count` leading directions (n, P) of typical `displacements` (m, P).

    Their lengths are the root mean squares of the coordinates of the displacements, in the norm
    |`metric` * d|.
    """
    directions = principal(displacements, metric, count)
    reached = displacements.gram(directions, metric.square())
    return directions.scale(reached.square().mean(0).sqrt())


def unit_pools(problem: Problem, size: int, seed: int) -> Clusters:
    """Return up to `size` sequences of each unit, as the pools of clusters of one unit."""
    units = np.arange(problem.units)
    return Clusters(units, draw_pools(units, problem.sequences, size, seed))


def own_responses(
    problem: Problem, theta: Tensor, probed: ProbedExpansion, pools: Clusters, units: np.ndarray
) -> Tensor:
    """Return H_u W of both halves of the pools of `units`, in the basis, (2, units, n, q).

    Args:
        problem: the learning problem.
        theta: (P,), the parameters of the path at `probed.step`.
        probed: the directions W and the basis.
        pools: the pools of all units.
        units: the numbers of the units to measure.

    """
    basis = probed.model.basis
    if not len(probed.directions):
        return torch.empty(2, len(units), 0, len(basis), dtype=basis.dtype)
    some = Clusters(np.arange(len(units)), [pools.pools[unit] for unit in units])
    responses = Responses(problem, some, theta, probed.length)
    weight = large_tensors.copy(probed.metric).square_().reciprocal_()
    read = [responses(Rows(direction[None])).gram(basis, weight) for direction in probed.directions]
    halves: Tensor = torch.stack(read, dim=1).unflatten(0, (2, len(units)))
    return halves


def read_responses(
    files: Sequence[str | Path], key: str | None, units: int
) -> tuple[Tensor, np.ndarray]:
    """Join the files of `own_responses` of all `units`.

    Returns:
        The arguments `halves` and `left_out` of `with_unit_curvature`.

    Raises:
        UserError: a file is missing, damaged or from another study, or the units are not in order.

    """
    names = ("unit", "response", "left_out")
    shards = [read_arrays(file, key, "unit_curvature", names) for file in files]
    stored = np.concatenate([shard["unit"] for shard in shards])
    if not np.array_equal(stored, np.arange(units)):
        raise UserError(
            f"{Path(files[0]).parent}: the shards hold units {stored.tolist()}, expected 0 to "
            f"{units - 1} in order; delete the shards and rerun rule `unit_curvature`"
        )
    halves = np.concatenate([shard["response"] for shard in shards], axis=1)
    return torch.from_numpy(halves), shards[0]["left_out"]


def with_unit_curvature(
    probed: ProbedExpansion, halves: Tensor, left_out: np.ndarray
) -> tuple[LowRankExpansion, Tensor]:
    """Return the expansion with the curvature of each unit, and the weights w (U,) of the units.

    w is 0 for a unit whose difference from its cluster is no larger than noise. It is 1 if there is
    no noise because all sequences of the unit are in its pool.

    Args:
        probed: the expansion of the clusters and the measured directions.
        halves: (2, U, n, q), the result of `own_responses` for all units.
        left_out: (U,), the share of each unit's sequences that its pool lacks.

    """
    model = probed.model
    if not len(probed.directions):
        return model, torch.zeros(len(model.labels))
    cores = model.cores[len(model.probed_steps) // 2]
    inside = probed.directions.gram(model.readers)
    own = halves.mean(0) - inside @ cores[model.labels].mT
    noise = torch.from_numpy(left_out) * split_noise(*halves.flatten(2).double())
    total = own.flatten(1).double().square().sum(1)
    # Shares of 0, because the cluster is measured on its own pool and not the mean of these units.
    weight = weights(noise, total, torch.zeros_like(noise))
    share = torch.bincount(model.labels) / len(model.labels)
    mean = torch.einsum("c,cij->ij", share.to(own.dtype), cores)
    seen = (inside @ mean.mT)[:, : inside.shape[1]]  # H W (n, r): the readers span all of it
    expansion = replace(
        model,
        unit_corrections=own * weight.to(own.dtype)[:, None, None],
        unit_readers=pseudo_inverse(inside @ seen.T) @ seen,
    )
    return expansion, weight

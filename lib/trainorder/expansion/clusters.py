"""Clusters of units that share a curvature, and a pool of sequences for each cluster.

The curvature of one unit is a noisy statistic. The curvature of a cluster is estimated once, from a
pool of sequences drawn from all of its units. See `docs/method`, "Curvature of clusters".
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.cluster.vq import kmeans2

from trainorder.errors import UserError
from trainorder.numerics.countsketch import SparseJL
from trainorder.storage.sealed_hdf5 import read_arrays, write_arrays
from trainorder.training.problem import Problem, each_gradient

_SKETCH_ROWS = 256


@dataclass(frozen=True)
class Clusters:
    """The cluster of each unit, and a pool of sequences for each cluster.

    Attributes:
        labels: (U,) int64, 0 .. C-1; every cluster has at least one unit.
        pools: for each cluster (n, 2) int64, the unit and the index of the sequence in the unit.

    """

    labels: np.ndarray
    pools: list[np.ndarray]

    @property
    def count(self) -> int:
        """C, the number of clusters."""
        return len(self.pools)

    @property
    def shares(self) -> np.ndarray:
        """The share of the units in each cluster, (C,) float64."""
        return np.bincount(self.labels, minlength=self.count) / len(self.labels)

    def missing_shares(self, sequences: int) -> np.ndarray:
        """Return the share (C,) of each cluster's sequences that is not in its pool.

        Pools are drawn without replacement. The variance of a pool's mean is therefore the variance
        with replacement times this share. `sequences` is the number of sequences in a unit.
        """
        pools = np.array([len(pool) for pool in self.pools])
        return 1 - pools / (np.bincount(self.labels) * sequences)

    def halves(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return two disjoint halves of each pool; their difference estimates sampling noise."""
        return [(pool[::2], pool[1::2]) for pool in self.pools]

    def resized(self, sequences: int, size: int, seed: int) -> "Clusters":
        """Return the same clusters with pools of `size` sequences, where the clusters have them.

        Smaller pools are the first sequences of these; larger ones begin with these, and go on with
        further ones, drawn as in `draw_pools`, which explains the arguments.
        """
        if size <= max(map(len, self.pools)):
            return Clusters(self.labels, [pool[:size] for pool in self.pools])
        everything = draw_pools(self.labels, sequences, len(self.labels) * sequences, seed)
        pairs = zip(self.pools, everything, strict=True)
        return Clusters(self.labels, [_extended(pool, rows, size) for pool, rows in pairs])

    def without(self, former: "Clusters") -> "Clusters":
        """Return the same clusters with the sequences that follow the pools of `former`."""
        pairs = zip(self.pools, former.pools, strict=True)
        return Clusters(self.labels, [pool[len(before) :] for pool, before in pairs])

    def save(self, path: str | Path, key: str) -> None:
        """Write a sealed file of the study with key `key`."""
        owner = np.repeat(np.arange(self.count), [len(pool) for pool in self.pools])
        arrays = {"label": self.labels, "pool": np.concatenate(self.pools), "pool_cluster": owner}
        write_arrays(path, key, arrays)

    @classmethod
    def load(cls, path: str | Path, key: str | None) -> "Clusters":
        """Return the clusters in a file written by `save`.

        Raises:
            UserError: the file is missing, damaged, or of another study.

        """
        arrays = read_arrays(path, key, "clusters", ("label", "pool", "pool_cluster"))
        owner = arrays["pool_cluster"]
        pools = [arrays["pool"][owner == c] for c in range(int(arrays["label"].max()) + 1)]
        return cls(arrays["label"], pools)


def _extended(pool: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    """Return `pool` (n, 2) with further ones of `rows` (m, 2), about as many from each unit."""
    used, taken = {*map(tuple, pool.tolist())}, Counter(pool[:, 0].tolist())
    fresh = []
    for unit, sequence in rows.tolist():
        if (unit, sequence) not in used:
            fresh.append((taken[unit], unit, sequence))
            taken[unit] += 1
    fresh.sort(key=lambda row: row[0])
    added = [row[1:] for row in fresh[: max(0, size - len(pool))]]
    return np.array([*pool.tolist(), *added], np.int64)


def label_clusters(names: Sequence[str]) -> np.ndarray:
    """Return the cluster of each unit, (U,) int64, with one cluster per name in sorted order."""
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)


def gradient_clusters(problem: Problem, theta: torch.Tensor, count: int, seed: int) -> np.ndarray:
    """Return `count` clusters of the units by k-means on their gradients, (U,) int64.

    Sparse JL sketches of the gradients at `theta` (P,) are centred and scaled to unit length, so
    that k-means compares directions. Empty clusters are dropped.

    Raises:
        UserError: `count` is larger than the number of units.

    """
    if count > problem.units:
        raise UserError(
            f"config: curvature.clusters: {count} clusters for {problem.units} units; "
            "use at most one cluster per unit"
        )
    sketch = SparseJL(problem.size, _SKETCH_ROWS)
    rows = [sketch(row) for row in each_gradient(problem, theta)]
    points = torch.stack(rows).double().numpy()
    points -= points.mean(axis=0)
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    np.divide(points, norms, out=points, where=norms > 0)
    _, labels = kmeans2(points, count, minit="++", seed=seed, iter=50)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def draw_pools(labels: np.ndarray, sequences: int, size: int, seed: int) -> list[np.ndarray]:
    """Return a pool of up to `size` sequences of each cluster, drawn without replacement.

    Args:
        labels: (U,) cluster of each unit.
        sequences: number of sequences in a unit.
        size: number of sequences in a pool; a smaller cluster contributes all its sequences.
        seed: seed of the draw.

    Returns:
        For each cluster (n, 2) int64, units and sequences in shuffled order. The numbers of
        sequences from two units of a cluster differ by at most one.

    """
    rng = np.random.default_rng(seed)
    pools = []
    for cluster in range(int(labels.max()) + 1):
        units = rng.permutation(np.flatnonzero(labels == cluster))
        shuffled = np.stack([rng.permutation(sequences) for _ in units], axis=1)  # a row per round
        rows = np.stack([np.tile(units, sequences), shuffled.reshape(-1)], axis=1)
        pools.append(rng.permutation(rows[:size]).astype(np.int64))
    return pools

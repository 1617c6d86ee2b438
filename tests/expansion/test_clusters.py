"""Clustering recovers known groups, and pools are uniform draws from the cluster's sequences."""

import numpy as np
import pytest
import torch

from problems import Polynomial
from trainorder.errors import UserError
from trainorder.expansion.clusters import Clusters, draw_pools, gradient_clusters, label_clusters

LABELS = np.array([0, 2, 1, 0, 0, 1, 2, 0])


@pytest.mark.parametrize("size", [1, 3, 10, 20, 10**6])
@pytest.mark.parametrize("seed", [0, 1])
def test_pools_are_balanced_draws_without_replacement_from_their_cluster(size, seed):
    pools = draw_pools(LABELS, 5, size, seed)
    assert len(pools) == 3
    for cluster, pool in enumerate(pools):
        units = np.flatnonzero(cluster == LABELS)
        assert len(pool) == min(size, 5 * len(units)), "the pool has the wrong size"
        assert len({tuple(row) for row in pool.tolist()}) == len(pool), "drawn with replacement"
        assert set(pool[:, 0].tolist()) <= set(units.tolist()), "a unit of another cluster"
        assert pool[:, 1].min() >= 0
        assert pool[:, 1].max() < 5
        counts = [int((pool[:, 0] == unit).sum()) for unit in units]
        assert max(counts) - min(counts) <= 1, f"the pool is not balanced: {counts}"


def test_all_sequences_of_a_cluster_are_equally_likely():
    counts = np.zeros((8, 5))
    for seed in range(600):
        for pool in draw_pools(LABELS, 5, 4, seed):
            counts[pool[:, 0], pool[:, 1]] += 1
    for cluster in range(3):
        rows = counts[cluster == LABELS] / 600
        expected = 4 / rows.size
        error = np.abs(rows - expected).max() / (expected * (1 - expected) / 600) ** 0.5
        assert error < 4.5, "some sequences are drawn more often than others"


def test_pools_depend_only_on_the_seed():
    first, same, other = (draw_pools(LABELS, 5, 4, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_halves_of_a_pool_are_disjoint_and_complete():
    clusters = Clusters(LABELS, draw_pools(LABELS, 5, 7, 0))
    for pool, halves in zip(clusters.pools, clusters.halves(), strict=True):
        assert abs(len(halves[0]) - len(halves[1])) <= 1
        rows = [tuple(row) for half in halves for row in half.tolist()]
        assert sorted(rows) == sorted(tuple(row) for row in pool.tolist())


@pytest.mark.parametrize("size", [2, 4, 7, 12, 10**6])
def test_resized_pools_begin_alike_and_are_balanced_draws(size):
    clusters = Clusters(LABELS, draw_pools(LABELS, 5, 4, 0))
    resized = clusters.resized(5, size, 0)
    for cluster, (pool, former) in enumerate(zip(resized.pools, clusters.pools, strict=True)):
        units = np.flatnonzero(cluster == LABELS)
        same = min(len(pool), len(former))
        assert len(pool) == min(size, 5 * len(units)), "the pool has the wrong size"
        assert np.array_equal(pool[:same], former[:same]), "known sequences are not used again"
        assert len({tuple(row) for row in pool.tolist()}) == len(pool), "drawn twice"
        assert set(pool[:, 0].tolist()) <= set(units.tolist()), "a unit of another cluster"
        counts = [int((pool[:, 0] == unit).sum()) for unit in units]
        if size >= 4:
            assert max(counts) - min(counts) <= 1, f"the pool is not balanced: {counts}"


def test_the_new_sequences_of_larger_pools_are_those_that_follow():
    clusters = Clusters(LABELS, draw_pools(LABELS, 5, 4, 0))
    added = clusters.resized(5, 12, 0).without(clusters)
    assert [len(pool) for pool in added.pools] == [8, 6, 6], "two clusters have ten sequences"


def test_shares_are_the_shares_of_units():
    clusters = Clusters(LABELS, draw_pools(LABELS, 5, 2, 0))
    assert clusters.shares.tolist() == [4 / 8, 2 / 8, 2 / 8]


def test_clusters_of_domains_follow_the_sorted_names():
    assert label_clusters(["b", "a", "b", "mixed"]).tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize("kinds", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_k_means_recovers_kinds_of_units_from_gradients(kinds, seed):
    problem = Polynomial(12, size=40, kinds=kinds)
    labels = gradient_clusters(problem, problem.start, kinds, seed)
    pairs = {(int(a), int(b)) for a, b in zip(labels, problem.kind, strict=True)}
    assert len(pairs) == kinds, f"clusters {labels.tolist()} mix the {kinds} kinds of units"


def test_with_as_many_clusters_as_units_each_unit_is_a_cluster():
    problem = Polynomial(5, size=40)
    labels = gradient_clusters(problem, problem.start, 5, 0)
    assert sorted(labels.tolist()) == list(range(5))


def test_more_clusters_than_units_raise_one_line():
    problem = Polynomial(3)
    with pytest.raises(UserError) as error:
        gradient_clusters(problem, problem.start, 4, 0)
    assert "curvature.clusters" in str(error.value)
    assert "\n" not in str(error.value)


def test_saved_clusters_are_loaded_unchanged(tmp_path):
    clusters = Clusters(LABELS, draw_pools(LABELS, 5, 6, 0))
    clusters.save(tmp_path / "clusters.h5", "k")
    loaded = Clusters.load(tmp_path / "clusters.h5", "k")
    assert np.array_equal(loaded.labels, LABELS)
    assert loaded.count == 3
    for saved_pool, loaded_pool in zip(clusters.pools, loaded.pools, strict=True):
        assert np.array_equal(saved_pool, loaded_pool)
    with pytest.raises(UserError, match="another study"):
        Clusters.load(tmp_path / "clusters.h5", "other")


def test_gradients_are_counted():
    problem = Polynomial(4)
    gradient_clusters(problem, problem.start, 2, 0)
    assert problem.meter.total == {"gradients": 4 * problem.sequences}
    assert torch.equal(problem.start, Polynomial(4).start), "the parameters were changed"

"""Clusters: planted ones are found, and their pools are fair draws of their own sequences."""

import numpy as np
import pytest
import torch

from problems import Polynomial
from trainorder.errors import UserError
from trainorder.expansion.clusters import Clusters, draw_pools, gradient_clusters, label_clusters

LABELS = np.array([0, 2, 1, 0, 0, 1, 2, 0])


@pytest.mark.parametrize("size", [1, 3, 10, 20, 10**6])
@pytest.mark.parametrize("seed", [0, 1])
def test_pools_are_balanced_draws_without_replacement_of_the_cluster_alone(size, seed):
    pools = draw_pools(LABELS, 5, size, seed)
    assert len(pools) == 3
    for cluster, pool in enumerate(pools):
        units = np.flatnonzero(cluster == LABELS)
        assert len(pool) == min(size, 5 * len(units)), "a pool is smaller than it may be"
        assert len({tuple(row) for row in pool.tolist()}) == len(pool), "drawn with replacement"
        assert set(pool[:, 0].tolist()) <= set(units.tolist()), "a unit of another cluster"
        assert pool[:, 1].min() >= 0
        assert pool[:, 1].max() < 5
        counts = [int((pool[:, 0] == unit).sum()) for unit in units]
        assert max(counts) - min(counts) <= 1, f"units have {counts} sequences of a pool"


def test_every_sequence_is_as_likely_to_be_drawn():
    counts = np.zeros((8, 5))
    for seed in range(600):
        for pool in draw_pools(LABELS, 5, 4, seed):
            counts[pool[:, 0], pool[:, 1]] += 1
    for cluster in range(3):
        rows = counts[cluster == LABELS] / 600
        expected = 4 / rows.size
        error = np.abs(rows - expected).max() / (expected * (1 - expected) / 600) ** 0.5
        assert error < 4.5, "some sequences are drawn more often than others"


def test_another_seed_draws_other_pools_and_the_same_seed_the_same():
    one, same, other = (draw_pools(LABELS, 5, 4, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_halves_of_a_pool_are_disjoint_and_make_it_up():
    clusters = Clusters(LABELS, draw_pools(LABELS, 5, 7, 0))
    for pool, halves in zip(clusters.pools, clusters.halves(), strict=True):
        assert abs(len(halves[0]) - len(halves[1])) <= 1
        rows = [tuple(row) for half in halves for row in half.tolist()]
        assert sorted(rows) == sorted(tuple(row) for row in pool.tolist())


def test_shares_are_those_of_the_units():
    clusters = Clusters(LABELS, draw_pools(LABELS, 5, 2, 0))
    assert clusters.shares.tolist() == [4 / 8, 2 / 8, 2 / 8]


def test_domains_are_clusters_by_name():
    assert label_clusters(["b", "a", "b", "mixed"]).tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize("kinds", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_kinds_of_units_are_found_by_their_gradients(kinds, seed):
    problem = Polynomial(12, size=40, kinds=kinds)
    found = gradient_clusters(problem, problem.start, kinds, seed)
    pairs = {(int(a), int(b)) for a, b in zip(found, problem.kind, strict=True)}
    assert len(pairs) == kinds, f"clusters {found.tolist()} mix the {kinds} kinds of units"


def test_as_many_clusters_as_units_are_units():
    problem = Polynomial(5, size=40)
    found = gradient_clusters(problem, problem.start, 5, 0)
    assert sorted(found.tolist()) == list(range(5))


def test_more_clusters_than_units_are_one_line():
    problem = Polynomial(3)
    with pytest.raises(UserError) as caught:
        gradient_clusters(problem, problem.start, 4, 0)
    assert "curvature.clusters" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_was_saved_is_read_back(tmp_path):
    clusters = Clusters(LABELS, draw_pools(LABELS, 5, 6, 0))
    clusters.save(tmp_path / "clusters.h5", "k")
    found = Clusters.load(tmp_path / "clusters.h5", "k")
    assert np.array_equal(found.labels, LABELS)
    assert found.count == 3
    for mine, theirs in zip(clusters.pools, found.pools, strict=True):
        assert np.array_equal(mine, theirs)
    with pytest.raises(UserError, match="another study"):
        Clusters.load(tmp_path / "clusters.h5", "other")


def test_gradients_are_counted():
    problem = Polynomial(4)
    gradient_clusters(problem, problem.start, 2, 0)
    assert problem.meter.counts["gradients"] == 4
    assert torch.equal(problem.start, Polynomial(4).start), "the parameters were changed"

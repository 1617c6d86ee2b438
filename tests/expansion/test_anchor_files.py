"""Rows of the table at anchors that were not measured follow from those that were."""

import numpy as np
import torch

from problems import Polynomial, barycentre, optimizer_config, relative_error, warm_state
from trainorder.expansion.anchor_files import AnchorFiles
from trainorder.expansion.anchors import PathAnchors
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.expansion.pools import Pools
from trainorder.numerics.countsketch import SparseJL
from trainorder.numerics.rows import Rows
from trainorder.training.problem import unit_gradients

LABELS = np.array([0, 0, 1, 0, 1, 1])
CLUSTERS = Clusters(LABELS, draw_pools(LABELS, 5, 6, 0))


class Moving:
    """Gradients of units: any path of their cluster, plus a deviation that moves linearly."""

    def __init__(self, size=7):
        rng = torch.Generator().manual_seed(0)
        self.base = torch.randn(6, size, dtype=torch.float64, generator=rng)
        self.drift = torch.randn(6, size, dtype=torch.float64, generator=rng)

    def clusters(self, t):
        return Rows(torch.stack([torch.cos(t * self.base[c]) for c in (0, 1)]))

    def units(self, t):
        return self.clusters(t).tensor[LABELS] + self.base + t * self.drift


class Measured:
    """A problem whose gradients are those of `Moving`."""

    def __init__(self, gradients):
        self.rows, self.units, self.size = gradients, *gradients.shape


def table_of(anchors, tmp_path, monkeypatch):
    """Return the rows (K, U, P) of the table of `Moving` gradients."""
    monkeypatch.setattr(
        "trainorder.expansion.anchor_files.each_gradient", lambda made, _: made.rows
    )
    files, moving = AnchorFiles(tmp_path, "k"), Moving()
    for t in anchors.steps:
        files.save_clusters(t, moving.clusters(t))
    for t in anchors.measured:
        files.measure(t, Measured(moving.units(t)), torch.zeros(1, dtype=torch.float64))
    return torch.stack([torch.stack(list(rows)) for rows in files.table(anchors, LABELS)]), moving


def test_a_derived_row_is_exact_where_deviations_move_linearly(tmp_path, monkeypatch):
    anchors = PathAnchors([0, 2, 3, 7], [0, 7])
    table, moving = table_of(anchors, tmp_path, monkeypatch)
    for row, t in zip(table, anchors.steps, strict=True):
        assert relative_error(row, moving.units(t)) < 1e-14, f"step {t}"


def test_after_the_last_measured_anchor_deviations_stay(tmp_path, monkeypatch):
    table, moving = table_of(PathAnchors([0, 4, 6], [0, 4]), tmp_path, monkeypatch)
    deviations = moving.units(4) - moving.clusters(4).tensor[LABELS]
    assert relative_error(table[2], moving.clusters(6).tensor[LABELS] + deviations) < 1e-14


def test_derived_gradients_are_closer_than_interpolated_ones(tmp_path):
    problem, config = Polynomial(6, sequences=16, degree=3, kinds=2, noise=0.1), optimizer_config()
    warm = warm_state(problem, problem.start, config)
    labels = problem.kind.numpy()
    clusters = Clusters(labels, draw_pools(labels, 16, 24, 0))
    with barycentre(problem, warm, 9, 1, config, tmp_path, clusters, tolerance=0.0) as about:
        exact = [about.table.at(t) for t in range(9)]
    files = AnchorFiles(next((tmp_path / "work").iterdir()), "k")
    rows = files.table(PathAnchors(list(range(9)), [0, 8]), labels)
    derived = [torch.stack(list(row)) for row in rows]
    line = [torch.lerp(exact[0], exact[8], t / 8) for t in range(9)]
    for t in (2, 4, 6):
        errors = [relative_error(one[t], exact[t]) for one in (derived, line)]
        assert errors[0] < errors[1] / 2, f"step {t}: derived and interpolated: {errors}"


def test_the_gradients_of_clusters_are_those_of_their_pools():
    problem = Polynomial(6, sequences=5)
    pools = Pools(CLUSTERS, 5)
    means = pools.means(pools.gradients(problem, problem.start))
    for mean, pool in zip(means, CLUSTERS.pools, strict=True):
        theta = problem.start.clone().requires_grad_()
        [expected] = torch.autograd.grad(problem.sample_loss(theta, pool), theta)
        assert relative_error(mean, expected) < 1e-12


def test_the_sketch_of_a_mean_gradient_is_the_mean_of_the_sketches():
    problem = Polynomial(6, sequences=5)
    pools, sketch = Pools(CLUSTERS, 5), SparseJL(problem.size, 8)
    parts = pools.gradients(problem, problem.start)
    sketches = pools.sketch_means(sketch(parts.tensor).double().numpy())
    expected = sketch(pools.means(parts).tensor).double()
    assert relative_error(torch.from_numpy(sketches), expected) < 1e-12


def test_the_first_anchor_has_the_gradients_at_the_start(tmp_path):
    problem, config = Polynomial(6), optimizer_config()
    warm = warm_state(problem, problem.start, config)
    clusters = Clusters(LABELS, draw_pools(LABELS, problem.sequences, 8, 0))
    with barycentre(problem, warm, 4, 1, config, tmp_path, clusters, tolerance=1e9) as about:
        expected = unit_gradients(problem, warm.parameters)
        assert relative_error(about.table.at(0), expected) < 1e-12

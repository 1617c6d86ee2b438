"""Responses are Hessian-vector products, and what probes span is known exactly."""

import numpy as np
import pytest
import torch

from problems import Polynomial, every_sequence, language_problem, relative_error
from trainorder.curvature.cluster_curvature import ClusterCurvature, CurvatureAlongPath, Responses
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.numerics.gram import pseudo_inverse
from trainorder.numerics.rows import Rows
from trainorder.training.optimizer import ALL

LABELS = np.array([0, 1, 2, 0, 1, 2])


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def hessians(problem, labels):
    """Return the Hessian of each cluster of a quadratic problem, and their mean over units."""
    own = torch.stack([problem.square[labels == c].mean(0) for c in range(labels.max() + 1)])
    return own, problem.square.mean(0)


def probed(problem, clusters, probes):
    curvature = ClusterCurvature(problem, clusters)
    curvature.add(probes, Responses(problem, clusters, problem.start, 0.1)(probes))
    return curvature


@pytest.fixture
def problem():
    """Return three kinds of units with one Hessian each, and two of each kind."""
    return Polynomial(6, size=8, noise=0.0, kinds=3, spread=0.0)


@pytest.fixture
def clusters(problem):
    return every_sequence(problem, LABELS)


@pytest.mark.parametrize("length", [1e-2, 10.0])
def test_responses_to_a_quadratic_loss_are_its_hessian_times_the_direction(
    problem, clusters, length
):
    directions = normal(4, 8) * torch.tensor([[1.0], [1e-3], [1e3], [1.0]])
    found = Responses(problem, clusters, problem.start, length)(directions).mean(0)
    own, _ = hessians(problem, LABELS)
    for c, rows in enumerate(found):
        assert relative_error(rows, directions @ own[c]) < 1e-8, f"H_c d is off for cluster {c}"


def test_responses_of_a_language_model_are_those_of_its_dense_hessian():
    problem = language_problem(units=6, unit_size=2)
    labels = np.array([0, 0, 0, 1, 1, 1])
    theta = problem.model.parameters()
    directions = normal(2, problem.size)
    pools = every_sequence(problem, labels)
    found = Responses(problem, pools, theta, 1e-4)(directions)
    for c in range(2):
        dense = torch.stack(
            [
                torch.autograd.functional.hessian(lambda x, u=u: problem.loss(x, int(u)), theta)
                for u in np.flatnonzero(labels == c)
            ]
        ).mean(0)
        assert relative_error(found[:, c].mean(0), directions @ dense) < 1e-3, (
            f"cluster {c} responds as another's text does"
        )


def test_of_no_direction_there_is_no_response(problem, clusters):
    found = Responses(problem, clusters, problem.start, 0.1)(torch.zeros(1, 8, dtype=torch.float64))
    assert not found.any()


def test_probes_of_the_whole_space_give_every_cluster_its_own_hessian(problem, clusters):
    curvature = probed(problem, clusters, normal(8, 8))
    deltas, which = normal(6, 8, seed=1), torch.tensor([2, 0, 1, 1, 0, 2])
    own, mean = hessians(problem, LABELS)
    expected = torch.stack([own[c] @ d for c, d in zip(which, deltas, strict=True)])
    assert relative_error(curvature.apply(deltas, which)(ALL), expected) < 1e-8
    assert relative_error(curvature.apply_mean(deltas)(ALL), deltas @ mean) < 1e-8


def test_probes_added_in_rounds_are_as_good_as_at_once(problem, clusters):
    probes = normal(6, 8)
    at_once = probed(problem, clusters, probes)
    responses = Responses(problem, clusters, problem.start, 0.1)
    rounds = ClusterCurvature(problem, clusters)
    for part in (probes[:1], probes[1:4], probes[4:]):
        rounds.add(part, responses(part))
    assert rounds.rank == 6
    deltas, which = normal(6, 8, seed=1), torch.tensor([2, 0, 1, 1, 0, 2])
    assert (
        relative_error(rounds.apply(deltas, which)(ALL), at_once.apply(deltas, which)(ALL)) < 1e-10
    )


def test_what_the_probes_span_is_recovered_and_leaves_no_remainder(problem, clusters):
    probes = normal(3, 8)
    curvature = probed(problem, clusters, probes)
    z = normal(5, 3, seed=1)
    assert relative_error(curvature.coordinates(z @ probes), z) < 1e-8, "coordinates are off"
    left = curvature.remainder(probes)
    assert float(left.norm() / probes.norm()) < 1e-8, "the remainder of a probe is not nothing"


def test_the_remainder_is_orthogonal_to_the_probes_in_the_metric_of_the_mean(problem, clusters):
    probes = normal(3, 8)
    curvature = probed(problem, clusters, probes)
    deltas = normal(5, 8, seed=1)
    _, mean = hessians(problem, LABELS)
    left = curvature.remainder(deltas)
    scale = float((deltas @ mean @ probes.T).norm())
    assert float((left @ mean @ probes.T).norm()) < 1e-8 * scale, "stiff directions are left out"


def test_the_mean_curvature_that_probes_give_is_symmetric_and_positive(problem, clusters):
    curvature = probed(problem, clusters, normal(3, 8))
    found = curvature.apply_mean(torch.eye(8, dtype=torch.float64))(ALL)
    assert torch.allclose(found, found.T, atol=1e-9), "a Hessian is symmetric"
    assert float(torch.linalg.eigvalsh((found + found.T) / 2).min()) > -1e-9
    _, mean = hessians(problem, LABELS)
    assert float(torch.linalg.eigvalsh(mean - (found + found.T) / 2).min()) > -1e-8, (
        "probes add curvature that is not there"
    )


def test_identical_halves_have_no_noise_and_are_believed(problem):
    curvature = probed(problem, Clusters(LABELS, draw_pools(LABELS, 4, 4, 0)), normal(3, 8))
    assert curvature.factors.tolist() == [1, 1, 1]
    assert all(torch.equal(curvature.shrunk(c), curvature.responses[c].tensor) for c in range(3))


def test_a_pool_of_every_sequence_has_no_noise_however_its_halves_differ():
    problem = Polynomial(6, size=8, noise=3.0)
    curvature = probed(problem, every_sequence(problem, LABELS), normal(3, 8))
    assert curvature.factors.tolist() == [1, 1, 1]


def test_noise_shrinks_clusters_towards_their_mean():
    problem = Polynomial(6, size=8, sequences=20, noise=3.0, kinds=1, spread=0.0)
    clusters = Clusters(LABELS, draw_pools(LABELS, 20, 4, 0))
    curvature = probed(problem, clusters, normal(4, 8))
    assert float(curvature.factors.max()) < 0.7, "noise alone is believed"
    _, mean = hessians(problem, LABELS)
    expected = curvature.probes.tensor @ mean
    for c in range(3):
        own, shrunk = curvature.responses[c].tensor, curvature.shrunk(c)
        assert relative_error(shrunk, expected) < relative_error(own, expected)


def test_a_pool_of_one_sequence_has_two_equal_halves(problem):
    pools = draw_pools(LABELS, problem.sequences, 1, 0)
    halves = Responses(problem, Clusters(LABELS, pools), problem.start, 0.1)(normal(2, 8))
    assert torch.equal(halves[0], halves[1])


@pytest.mark.parametrize("rank", [1, 4, 6])
def test_pseudo_inverse_is_that_of_the_positive_part(rank):
    root = normal(rank, 6)
    matrix = root.T @ root
    expected = np.linalg.pinv(matrix.numpy(), rcond=1e-6, hermitian=True)
    assert np.allclose(pseudo_inverse(matrix).numpy(), expected, rtol=1e-8, atol=1e-10)
    assert torch.allclose(pseudo_inverse(matrix), pseudo_inverse(matrix).T)
    negative = normal(1, 6, seed=1)
    negative -= negative @ torch.linalg.pinv(root) @ root  # orthogonal to all that is positive
    found = pseudo_inverse(matrix - negative.T @ negative)
    assert np.allclose(found.numpy(), expected, rtol=1e-6, atol=1e-8), (
        "a direction of negative curvature is given a metric"
    )


def test_between_the_steps_that_were_probed_curvature_is_interpolated(problem, clusters):
    probes = normal(8, 8)
    one, two = (probed(problem, clusters, probes) for _ in range(2))
    two.add(probes[:0], torch.empty(2, 3, 0, 8, dtype=torch.float64))
    two.responses = [Rows(3 * rows.tensor) for rows in two.responses]
    two.mean, two.inverse = Rows(3 * two.mean.tensor), two.inverse / 3
    along = CurvatureAlongPath(np.array([2, 6]), [one, two])
    deltas, which = normal(2, 8, seed=1), torch.tensor([0, 1])
    base = one.apply(deltas, which)(ALL)
    for t, factor in [(0, 1), (2, 1), (3, 1.5), (6, 3), (9, 3)]:
        found = along.apply(t, deltas, which)(ALL)
        assert relative_error(found, factor * base) < 1e-8, f"step {t} is off"

"""Responses are Hessian-vector products, and the curvature is exact in the span of the probes."""

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


def rows(n, seed=0):
    """Return `n` random vectors of eight parameters."""
    return Rows(normal(n, 8, seed=seed))


def measured(problem, clusters, theta, length, directions):
    """Return the responses (2, C, n, P) of both halves to `directions` (n, P)."""
    responses = Responses(problem, clusters, theta, length)(Rows(directions))
    return responses.tensor.unflatten(0, (2, clusters.count, len(directions)))


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
    responses = measured(problem, clusters, problem.start, length, directions).mean(0)
    own, _ = hessians(problem, LABELS)
    for c, response in enumerate(responses):
        assert relative_error(response, directions @ own[c]) < 1e-8, f"H_c d is off for cluster {c}"


@pytest.mark.slow
def test_responses_of_a_language_model_are_those_of_its_dense_hessian():
    problem = language_problem(units=4, unit_size=2)
    labels = np.array([0, 0, 1, 1])
    theta = problem.model.parameters()
    directions = normal(2, problem.size)
    pools = every_sequence(problem, labels)
    responses = measured(problem, pools, theta, 1e-4, directions)
    for c in range(2):
        dense = torch.stack(
            [
                torch.autograd.functional.hessian(lambda x, u=u: problem.loss(x, int(u)), theta)
                for u in np.flatnonzero(labels == c)
            ]
        ).mean(0)
        assert relative_error(responses[:, c].mean(0), directions @ dense) < 1e-3, (
            f"cluster {c} has the response of another cluster"
        )


def test_a_zero_direction_has_a_zero_response(problem, clusters):
    zero = torch.zeros(1, 8, dtype=torch.float64)
    assert not measured(problem, clusters, problem.start, 0.1, zero).any()


def test_probes_of_the_whole_space_give_every_cluster_its_own_hessian(problem, clusters):
    curvature = probed(problem, clusters, rows(8))
    deltas, which = rows(6, seed=1), torch.tensor([2, 0, 1, 1, 0, 2])
    own, mean = hessians(problem, LABELS)
    expected = torch.stack([own[c] @ d for c, d in zip(which, deltas, strict=True)])
    assert relative_error(curvature.apply(deltas, which)(ALL), expected) < 1e-8
    assert relative_error(curvature.apply_mean(deltas)(ALL), deltas.tensor @ mean) < 1e-8


def test_probes_added_in_rounds_are_as_good_as_at_once(problem, clusters):
    probes = rows(6)
    at_once = probed(problem, clusters, probes)
    responses = Responses(problem, clusters, problem.start, 0.1)
    rounds = ClusterCurvature(problem, clusters)
    for part in (probes[:1], probes[1:4], probes[4:]):
        rounds.add(part, responses(part))
    assert rounds.rank == 6
    deltas, which = rows(6, seed=1), torch.tensor([2, 0, 1, 1, 0, 2])
    assert (
        relative_error(rounds.apply(deltas, which)(ALL), at_once.apply(deltas, which)(ALL)) < 1e-10
    )


def test_combinations_of_probes_have_exact_coordinates_and_no_remainder(problem, clusters):
    probes = rows(3)
    curvature = probed(problem, clusters, probes)
    z = normal(5, 3, seed=1)
    assert relative_error(curvature.coordinates(probes.combine(z)), z) < 1e-8
    remainder = curvature.remainder(probes).tensor
    assert float(remainder.norm() / probes.tensor.norm()) < 1e-8, "a probe has a remainder"


def test_the_remainder_is_orthogonal_to_the_probes_in_the_metric_of_the_mean(problem, clusters):
    probes = rows(3)
    curvature = probed(problem, clusters, probes)
    deltas = rows(5, seed=1)
    _, mean = hessians(problem, LABELS)
    products, expected = (
        each.tensor @ mean @ probes.tensor.T for each in (curvature.remainder(deltas), deltas)
    )
    assert float(products.norm()) < 1e-8 * float(expected.norm())


def test_the_modelled_mean_curvature_is_symmetric_positive_and_at_most_the_true_one(
    problem, clusters
):
    curvature = probed(problem, clusters, rows(3))
    dense = curvature.apply_mean(Rows(torch.eye(8, dtype=torch.float64)))(ALL)
    assert torch.allclose(dense, dense.T, atol=1e-9), "a Hessian is symmetric"
    assert float(torch.linalg.eigvalsh((dense + dense.T) / 2).min()) > -1e-9
    _, mean = hessians(problem, LABELS)
    assert float(torch.linalg.eigvalsh(mean - (dense + dense.T) / 2).min()) > -1e-8


def test_identical_halves_have_no_noise_and_are_not_shrunk(problem):
    curvature = probed(problem, Clusters(LABELS, draw_pools(LABELS, 4, 4, 0)), rows(3))
    assert curvature.factors.tolist() == [1, 1, 1]
    assert all(torch.equal(curvature.shrunk(c), curvature.responses[c].tensor) for c in range(3))


def test_a_pool_of_every_sequence_has_no_noise_even_if_its_halves_differ():
    problem = Polynomial(6, size=8, noise=3.0)
    curvature = probed(problem, every_sequence(problem, LABELS), rows(3))
    assert curvature.factors.tolist() == [1, 1, 1]


def test_noise_shrinks_clusters_towards_their_mean():
    problem = Polynomial(6, size=8, sequences=20, noise=3.0, kinds=1, spread=0.0)
    clusters = Clusters(LABELS, draw_pools(LABELS, 20, 4, 0))
    curvature = probed(problem, clusters, rows(4))
    assert float(curvature.factors.max()) < 0.7, "pure noise has a large weight"
    _, mean = hessians(problem, LABELS)
    expected = curvature.probes.tensor @ mean
    for c in range(3):
        own, shrunk = curvature.responses[c].tensor, curvature.shrunk(c)
        assert relative_error(shrunk, expected) < relative_error(own, expected)


def test_a_pool_of_one_sequence_has_two_equal_halves(problem):
    clusters = Clusters(LABELS, draw_pools(LABELS, problem.sequences, 1, 0))
    halves = measured(problem, clusters, problem.start, 0.1, normal(2, 8))
    assert torch.equal(halves[0], halves[1])


def widened(problem, clusters, larger, probes):
    """Return the curvature of `clusters`, with the pools grown to those of `larger`."""
    added = larger.without(clusters)
    responses, more = (Responses(problem, c, problem.start, 0.1) for c in (clusters, added))
    curvature = ClusterCurvature(problem, clusters)
    curvature.add(probes[:2], responses(probes[:2]))
    curvature.widen(larger, more(probes[:2]))
    responses.widen(more)
    curvature.add(probes[2:], responses(probes[2:]))
    return curvature


@pytest.mark.parametrize("size", [6, 8, 10**6])
def test_pools_that_grow_give_the_curvature_of_the_larger_pools(size):
    problem = Polynomial(6, size=8, sequences=20, noise=1.0, kinds=3)
    clusters = Clusters(LABELS, draw_pools(LABELS, 20, 4, 0))
    larger = clusters.resized(20, size, 0)
    grown = widened(problem, clusters, larger, rows(5))
    at_once = probed(problem, larger, rows(5))
    assert relative_error(grown.mean.tensor, at_once.mean.tensor) < 1e-10, (
        "the old and the new sequences have the wrong weights"
    )
    for c in range(3):
        own, expected = (each.responses[c].tensor for each in (grown, at_once))
        assert relative_error(own, expected) < 1e-10, f"cluster {c}"
    assert grown.missing_shares.tolist() == at_once.missing_shares.tolist()


def test_the_noise_of_pools_that_grow_is_an_unbiased_estimate():
    problem = Polynomial(6, size=8, sequences=40, noise=1.0, kinds=1, spread=0.0)
    exact = rows(3).tensor @ problem.square.mean(0)
    estimated, true = [], []
    for seed in range(200):
        clusters = Clusters(LABELS, draw_pools(LABELS, 40, 4, seed))
        curvature = widened(problem, clusters, clusters.resized(40, 12, seed), rows(3))
        estimated.append(curvature._noise * curvature.missing_shares[:, None])
        own = torch.stack([each.tensor for each in curvature.responses])
        true.append((own - exact).square().sum(-1))
    ratio = torch.stack(estimated).mean() / torch.stack(true).mean()
    assert 0.9 < float(ratio) < 1.1, f"the estimated noise is {ratio:.2f} of the true one"


def test_the_noise_of_shrunk_responses_is_their_expected_squared_error():
    problem = Polynomial(6, size=8, sequences=40, noise=1.0, kinds=3, spread=0.0)
    curvature = probed(problem, Clusters(LABELS, draw_pools(LABELS, 40, 4, 0)), rows(3))
    curvature.factors = torch.tensor([0.2, 0.7, 1.0], dtype=torch.float64)
    noise = torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64)
    deviations = noise.sqrt()[:, None] * normal(3, 200_000, seed=5)
    mean = (curvature.shares[:, None] * deviations).sum(0)
    shrunk = torch.lerp(mean.expand(3, -1), deviations, curvature.factors[:, None])
    curvature.missing_shares = torch.ones(3, dtype=torch.float64)
    expected = float(shrunk.square().mean(1).sum())
    assert curvature.shrunk_noise(noise) == pytest.approx(expected, rel=0.02)
    curvature.missing_shares *= 0.25
    assert curvature.shrunk_noise(noise) == pytest.approx(expected / 4, rel=0.02)


@pytest.mark.parametrize("rank", [1, 4, 6])
def test_the_pseudo_inverse_is_that_of_the_positive_part(rank):
    root = normal(rank, 6)
    matrix = root.T @ root
    expected = np.linalg.pinv(matrix.numpy(), rcond=1e-6, hermitian=True)
    assert np.allclose(pseudo_inverse(matrix).numpy(), expected, rtol=1e-8, atol=1e-10)
    assert torch.allclose(pseudo_inverse(matrix), pseudo_inverse(matrix).T)
    negative = normal(1, 6, seed=1)
    negative -= negative @ torch.linalg.pinv(root) @ root  # orthogonal to the positive part
    inverse = pseudo_inverse(matrix - negative.T @ negative)
    assert np.allclose(inverse.numpy(), expected, rtol=1e-6, atol=1e-8), (
        "a direction of negative curvature contributes"
    )


def test_the_curvature_is_interpolated_between_the_probed_steps(problem, clusters):
    probes = rows(8)
    one, two = (probed(problem, clusters, probes) for _ in range(2))
    two.add(probes[:0], Rows(torch.empty(0, 8, dtype=torch.float64)))
    two.responses = [Rows(3 * rows.tensor) for rows in two.responses]
    two.mean, two.inverse = Rows(3 * two.mean.tensor), two.inverse / 3
    along = CurvatureAlongPath(np.array([2, 6]), [one, two])
    deltas, which = rows(2, seed=1), torch.tensor([0, 1])
    base = one.apply(deltas, which)(ALL)
    for t, factor in [(0, 1), (2, 1), (3, 1.5), (6, 3), (9, 3)]:
        at_step = along.apply(t, deltas, which)(ALL)
        assert relative_error(at_step, factor * base) < 1e-8, f"step {t} is off"

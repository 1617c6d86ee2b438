"""The estimated errors are those of a curvature that is known exactly."""

import numpy as np
import pytest
import torch

from problems import Polynomial
from trainorder.curvature.cluster_curvature import ClusterCurvature, Responses
from trainorder.curvature.probe_errors import relative_change, response_errors
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.numerics.rows import Rows

LABELS = np.array([0, 1, 0, 1, 0, 1])
SIZE = 8


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def curved(problem, pool, probes, seed=0):
    """Return the curvature of pools of `pool` sequences, and the responses of the same pools."""
    clusters = Clusters(LABELS, draw_pools(LABELS, problem.sequences, pool, seed))
    responses = Responses(problem, clusters, problem.start, 0.1)
    curvature = ClusterCurvature(problem, clusters)
    curvature.add(probes, responses(probes))
    return curvature, responses


def relative(wrong, exact, metric):
    return float((wrong / metric).norm() / (exact / metric).norm())


def test_the_error_of_few_probes_is_exact_without_noise():
    problem = Polynomial(6, size=SIZE, noise=0.0)
    deltas, metric = Rows(normal(3, SIZE, seed=1)), normal(SIZE, seed=2).abs() + 0.5
    curvature, responses = curved(problem, 100, Rows(normal(4, SIZE)))
    of_rank, of_pool = response_errors(curvature, deltas, responses(deltas), metric)
    exact = [deltas.tensor @ problem.square[c == LABELS].mean(0) for c in (0, 1)]
    estimates = [curvature.apply(deltas, torch.full((3,), c))(slice(None)) for c in (0, 1)]
    wrong = torch.cat(estimates) - torch.cat(exact)
    assert of_rank == pytest.approx(relative(wrong, torch.cat(exact), metric))
    assert of_pool == 0


def test_the_noise_of_the_pools_is_unbiased_in_the_metric():
    problem = Polynomial(6, size=SIZE, sequences=40, noise=1.0, kinds=1, spread=0.0)
    deltas, metric = Rows(normal(3, SIZE, seed=1)), normal(SIZE, seed=2).abs() + 0.5
    exact = (deltas.tensor @ problem.square.mean(0)).repeat(2, 1)
    estimated, true = [], []
    for seed in range(150):
        curvature, responses = curved(problem, 8, Rows(normal(SIZE, SIZE)), seed)
        curvature.factors = torch.ones(2, dtype=torch.float64)  # nothing is shrunk
        measured = responses(deltas)
        own = measured.tensor.unflatten(0, (2, 6)).mean(0)
        _, of_pool = response_errors(curvature, deltas, measured, metric)
        size = float((own / metric).square().sum())
        estimated.append(of_pool**2 * size)
        true.append(float(((own - exact) / metric).square().sum()))
    ratio = sum(estimated) / sum(true)
    assert 0.85 < ratio < 1.15, f"the estimated noise is {ratio:.2f} of the true one"


def test_the_change_between_two_steps_is_that_of_the_responses():
    a, metric = normal(8, SIZE), normal(SIZE, seed=2).abs() + 0.5
    assert relative_change(Rows(a), Rows(a), metric) == pytest.approx(0, abs=1e-12)
    assert relative_change(Rows(1.25 * a), Rows(a), metric) == pytest.approx(0.25)

"""Probes go where replays and goals need them, and the estimated error is the true one."""

import numpy as np
import pytest
import torch

from problems import (
    KINDS,
    Polynomial,
    barycentre,
    curvature_along,
    every_sequence,
    optimizer_config,
    warm_state,
    warm_without_memory,
)
from trainorder.config.sections import CurvatureConfig
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.curvature.probing import Prober
from trainorder.curvature.sensitivities import sensitivities
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.numerics.derivatives import gradient
from trainorder.numerics.gram import principal
from trainorder.training.optimizer import ALL

SIZE = 12
UNITS = 6
STEPS = 12


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_principal_directions_are_those_of_the_svd_in_the_metric():
    vectors, metric = normal(9, 20), normal(20, seed=1).abs() + 0.1
    found = principal(vectors, metric, 4) * metric
    _, _, expected = torch.linalg.svd(vectors * metric, full_matrices=False)
    overlap = (found @ expected[:4].T).abs()
    assert torch.allclose(overlap, torch.eye(4, dtype=torch.float64), atol=1e-8), (
        "other directions, another order, or the metric is not used"
    )


def test_principal_directions_are_no_more_than_there_are():
    vectors = normal(2, 20).repeat(3, 1)
    assert principal(vectors, torch.ones(20, dtype=torch.float64), 5).shape == (2, 20)
    nothing = torch.zeros(3, 20, dtype=torch.float64)
    assert len(principal(nothing, torch.ones(20, dtype=torch.float64), 5)) == 0


@pytest.mark.parametrize("units_per_step", [1, 3])
@pytest.mark.parametrize("epochs", [1, 2])
def test_probe_schedules_are_a_permutation_in_every_epoch(units_per_step, epochs):
    shape = (6 * epochs // units_per_step, units_per_step)
    found = probe_schedules(shape, 6, 0, 10)
    assert found.shape == (10, *shape)
    for schedule in found.reshape(10, epochs, 6):
        for epoch in schedule:
            assert sorted(epoch.tolist()) == list(range(6)), "units repeat within an epoch"
    assert len({tuple(row) for row in found.flatten(1).tolist()}) == 10, "schedules repeat"
    assert torch.equal(found, probe_schedules(shape, 6, 0, 10))
    assert not torch.equal(found, probe_schedules(shape, 6, 1, 10))


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Return the barycentre expansion of a quadratic problem, and a cluster for each unit."""
    problem = Polynomial(UNITS, size=SIZE, noise=0.0)
    config = optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, STEPS, 1, config, tmp_path_factory.mktemp("store")) as about:
        yield about, every_sequence(problem, np.arange(UNITS))


def prober(case, rank, tolerance=0.0, anchors=1):
    about, clusters = case
    found = Prober(about, clusters, probe_schedules((STEPS, 1), UNITS, 0), anchors)
    found.run(CurvatureConfig("domains", anchors, rank, tolerance, 100, 0, 1))
    return found


def true_error(case, found):
    """Return the relative error of the curvature over displacements of many fresh replays."""
    about, _ = case
    deltas = found.displacements(probe_schedules((STEPS, 1), UNITS, 99, 12))
    wrong = total = 0.0
    for c in range(UNITS):
        exact = deltas @ about.problem.square[c]
        estimate = found.curvature.middle.apply(deltas, torch.full((len(deltas),), c))(ALL)
        wrong += float(((estimate - exact) / found.metric).norm()) ** 2
        total += float((exact / found.metric).norm()) ** 2
    return (wrong / total) ** 0.5


@pytest.mark.parametrize("rank", [3, 6, 8])
def test_the_estimated_error_is_the_true_one_but_for_a_factor(case, rank):
    found = prober(case, rank)
    assert found.curvature.rank == rank
    ratio = found.error() / true_error(case, found)
    assert 1 / 3 < ratio < 3, f"the estimated error is {ratio:.2f} of the true one"


def test_the_error_vanishes_as_the_rank_grows_to_all_parameters(case):
    found = [prober(case, rank) for rank in (2, 6, 9, SIZE)]
    errors = [true_error(case, each) for each in found]
    assert errors == sorted(errors, reverse=True), f"more probes, no better: {errors}"
    assert errors[-1] < 1e-6, "probes of the whole space leave an error"
    assert found[-1].error() < 1e-6, "the estimated error does not vanish with the true one"


def test_probing_stops_at_the_tolerance(case):
    found = prober(case, SIZE, tolerance=0.5)
    assert found.rounds[-1].kind == "check"
    assert found.rounds[-1].error <= 0.5
    assert found.curvature.rank < SIZE


def test_noise_that_no_probe_could_mend_does_not_keep_probing(tmp_path):
    problem = Polynomial(UNITS, size=SIZE, sequences=40, noise=2.0, kinds=1)
    config = optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    labels = np.arange(UNITS) % 2
    clusters = Clusters(labels, draw_pools(labels, 40, 4, 0))
    with barycentre(problem, warm, STEPS, 1, config, tmp_path) as about:
        found = prober((about, clusters), SIZE)
        assert float(found.curvature.middle.factors.max()) < 0.9, "nothing was shrunk here"
        assert found.error() < 0.05, "what is shrunk away counts as an error of the probes"


@pytest.mark.parametrize("anchors", [1, 2, 3])
def test_every_place_of_the_curvature_has_the_same_probes(case, anchors):
    found = prober(case, 6, anchors=anchors)
    places = found.curvature.steps
    assert len(places) == anchors
    assert all(0 <= t < STEPS for t in places)
    for curvature in found.curvature.at:
        assert torch.equal(curvature.probes.tensor, found.curvature.middle.probes.tensor)
    assert found.curvature.rank == 6


def test_more_probes_than_directions_do_no_harm(tmp_path):
    problem = Polynomial(UNITS, size=3, noise=0.0)
    config = optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, STEPS, 1, config, tmp_path) as about:
        found = prober((about, every_sequence(problem, np.arange(UNITS))), 30)
        assert true_error((about, None), found) < 1e-6


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_sensitivities_are_the_derivatives_of_the_goals_at_the_end(kind, tmp_path):
    problem = Polynomial(UNITS, size=SIZE, noise=0.0)
    warm, changes = warm_without_memory(problem)
    config = optimizer_config(learning_rate=0.3, beta1=0.0, **changes, **KINDS[kind])
    with barycentre(problem, warm, STEPS, 1, config, tmp_path) as about:
        clusters = every_sequence(problem, np.zeros(UNITS, np.int64))
        curvature = curvature_along(about, clusters).middle
        found = sensitivities(about, curvature).unflatten(0, (3, len(problem.goals)))
        for rows, place in zip(found, (10, 6, 2), strict=True):
            for goal, row in enumerate(rows):
                expected = -at_the_end(about, warm.parameters, place, goal)
                cosine = float(row @ expected / row.norm() / expected.norm())
                assert cosine > 1 - 1e-6, (
                    f"goal {goal} at step {place}: cosine {cosine:.6f} with the true derivative"
                )


def at_the_end(about, theta, place, goal):
    """Return the derivative of a goal's final loss in the gradient of one step of the path."""
    problem, optimizer = about.problem, about.optimizer

    def end(pushed):
        x = theta
        for t in range(STEPS):
            state = about.path.state(t + 1)
            d = torch.ones_like(x)
            if optimizer.config.name == "adamw":
                _, correction = optimizer.bias_corrections(state.step - 1)
                d = (state.exp_avg_sq / correction).sqrt() + optimizer.config.epsilon
            g = problem.linear.mean(0) + problem.square.mean(0) @ x
            x = x - optimizer.learning_rate(state.step - 1) * (g + (t == place) * pushed) / d
        return problem.goal_loss(x, goal)

    return gradient(end, torch.zeros_like(theta))

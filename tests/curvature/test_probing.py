"""The probes span what replays and goals need, and the estimated error is close to the true one."""

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
from trainorder.config.sections.curvature import MIN_RANK
from trainorder.curvature.probe_growth import ProbeGrowth
from trainorder.curvature.probe_rounds import ProbeRounds
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.curvature.probing import Prober
from trainorder.curvature.sensitivities import sensitivities
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.numerics.derivatives import gradient
from trainorder.numerics.gram import principal
from trainorder.numerics.rows import Rows
from trainorder.training.optimizer import ALL

SIZE = 12
UNITS = 6
STEPS = 12


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_principal_directions_are_those_of_the_svd_in_the_metric():
    vectors, metric = normal(9, 20), normal(20, seed=1).abs() + 0.1
    directions = principal(Rows(vectors), metric, 4).tensor * metric
    _, _, expected = torch.linalg.svd(vectors * metric, full_matrices=False)
    overlap = (directions @ expected[:4].T).abs()
    assert torch.allclose(overlap, torch.eye(4, dtype=torch.float64), atol=1e-8), (
        "other directions, another order, or the metric is not used"
    )


def test_there_are_at_most_as_many_principal_directions_as_dimensions():
    vectors, ones = Rows(normal(2, 20).repeat(3, 1)), torch.ones(20, dtype=torch.float64)
    assert principal(vectors, ones, 5).tensor.shape == (2, 20)
    zeros = Rows(torch.zeros(3, 20, dtype=torch.float64))
    assert len(principal(zeros, ones, 5)) == 0


@pytest.mark.parametrize("units_per_step", [1, 3])
@pytest.mark.parametrize("epochs", [1, 2])
def test_probe_schedules_are_a_permutation_in_every_epoch(units_per_step, epochs):
    shape = (6 * epochs // units_per_step, units_per_step)
    schedules = probe_schedules(shape, 6, 0, 10)
    assert schedules.shape == (10, *shape)
    for schedule in schedules.reshape(10, epochs, 6):
        for epoch in schedule:
            assert sorted(epoch.tolist()) == list(range(6)), "units repeat within an epoch"
    assert len({tuple(row) for row in schedules.flatten(1).tolist()}) == 10, "schedules repeat"
    assert torch.equal(schedules, probe_schedules(shape, 6, 0, 10))
    assert not torch.equal(schedules, probe_schedules(shape, 6, 1, 10))


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Return the barycentre expansion of a quadratic problem, and a cluster for each unit."""
    problem = Polynomial(UNITS, size=SIZE, noise=0.0)
    config = optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, STEPS, 1, config, tmp_path_factory.mktemp("store")) as about:
        yield about, every_sequence(problem, np.arange(UNITS))


def probed(case, rank, tolerance=0.0, anchors=1):
    """Return a prober that has run."""
    about, clusters = case
    prober = Prober(about, clusters, probe_schedules((STEPS, 1), UNITS, 0), anchors)
    prober.run(ProbeRounds(rank), tolerance)
    return prober


def true_error(case, prober):
    """Return the relative error of the curvature over displacements of many new replays."""
    about, _ = case
    deltas = prober.displacements(probe_schedules((STEPS, 1), UNITS, 99, 12))
    wrong = total = 0.0
    for c in range(UNITS):
        exact = deltas.tensor @ about.problem.square[c]
        estimate = prober.curvature.middle.apply(deltas, torch.full((len(deltas),), c))(ALL)
        wrong += float(((estimate - exact) / prober.metric).norm()) ** 2
        total += float((exact / prober.metric).norm()) ** 2
    return (wrong / total) ** 0.5


@pytest.mark.parametrize("rank", [3, 6, 8])
def test_the_estimated_error_is_the_true_one_up_to_a_factor_of_three(case, rank):
    prober = probed(case, rank)
    assert prober.curvature.rank == rank
    ratio = prober.error() / true_error(case, prober)
    assert 1 / 3 < ratio < 3, f"the estimated error is {ratio:.2f} of the true one"


def test_the_error_vanishes_as_the_rank_grows_to_all_parameters(case):
    probers = [probed(case, rank) for rank in (2, 6, 9, SIZE)]
    errors = [true_error(case, prober) for prober in probers]
    assert errors == sorted(errors, reverse=True), f"the errors do not fall: {errors}"
    assert errors[-1] < 1e-6, "probes of the whole space are not exact"
    assert probers[-1].error() < 1e-6, "the estimated error does not vanish with the true one"


def test_probing_stops_at_the_tolerance(case):
    prober = probed(case, SIZE, tolerance=0.5)
    assert prober.rounds[-1].kind == "check"
    assert prober.rounds[-1].errors["rank"] <= 0.5
    assert prober.curvature.rank < SIZE


def test_a_larger_rank_begins_with_the_probes_of_a_smaller_one(case):
    about, clusters = case
    ranks, probes = [], []
    for most in (8, SIZE):
        prober = Prober(about, clusters, probe_schedules((STEPS, 1), UNITS, 0), 1)
        rounds = ProbeRounds(most, grows=True)
        prober.start(rounds)
        ranks.append([prober.curvature.rank])
        while prober.extend(rounds, 0.0) is None:
            ranks[-1].append(prober.curvature.rank)
        assert ranks[-1] == list(rounds.ranks(3 * len(about.problem.goals)))
        probes.append(prober.curvature.middle.probes.tensor)
    assert ranks == [[6, 8], [9, 12]]
    assert torch.equal(probes[0][:4], probes[1][:4]), "the first probes depend on the budget"


def test_noise_that_is_shrunk_away_is_no_error_of_the_probes(tmp_path):
    problem = Polynomial(UNITS, size=SIZE, sequences=40, noise=2.0, kinds=1)
    config = optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    labels = np.arange(UNITS) % 2
    clusters = Clusters(labels, draw_pools(labels, 40, 4, 0))
    with barycentre(problem, warm, STEPS, 1, config, tmp_path) as about:
        prober = probed((about, clusters), SIZE)
        assert float(prober.curvature.middle.factors.max()) < 0.9, "nothing is shrunk here"
        assert prober.error() < 0.05


def grown(problem, clusters, folder, budget=10**6, tolerance=0.05, rate=0.05, most=12):
    """Return a prober whose rank, pools and probed steps grew, with the errors at its end."""
    config = optimizer_config(learning_rate=rate)
    warm = warm_state(problem, problem.start, config)
    growth = ProbeGrowth(budget, pool=True, anchors=True)
    with barycentre(problem, warm, STEPS, 1, config, folder) as about:
        schedules = probe_schedules((STEPS, 1), UNITS, 0)
        prober = Prober(about, clusters, schedules, 1)
        rounds = ProbeRounds(most, grows=True)
        prober.start(rounds)
        sizes = [prober.size]
        while prober.extend(rounds, tolerance, growth) is None:
            sizes.append(prober.size)
            assert len(sizes) < 50, "probing does not end"
        return prober, sizes, prober.errors(growth)


def test_pools_grow_where_their_noise_is_the_largest_error(tmp_path):
    problem = Polynomial(UNITS, size=SIZE, sequences=40, noise=2.0, kinds=1)
    labels = np.arange(UNITS) % 2
    clusters = Clusters(labels, draw_pools(labels, 40, 4, 0))
    prober, sizes, errors = grown(problem, clusters, tmp_path, tolerance=0.2)
    pools = [size.pool for size in sizes]
    assert pools == sorted(pools)
    assert pools[-1] > 4, "noisy pools did not grow"
    assert len(prober.curvature.steps) == 1, "a curvature that is constant was probed again"
    assert max(errors.values()) <= 0.2
    for one in prober.rounds[2:-1]:
        grew = {"pool": "pool", "anchors": "anchors", "greedy": "rank"}[one.kind]
        assert one.errors[grew] == max(one.errors.values())


def test_probed_steps_grow_where_the_curvature_changes_along_the_path(tmp_path):
    problem = Polynomial(UNITS, size=SIZE, degree=3, noise=0.0)
    clusters = every_sequence(problem, np.arange(UNITS))
    prober, sizes, _ = grown(problem, clusters, tmp_path, tolerance=0.02, rate=0.2)
    assert [size.anchors for size in sizes][-1] > 1, "the curvature at one step stands for all"
    assert {STEPS // 2} < set(prober.curvature.steps.tolist()), "a probed step was given up"
    changes = [one.errors["anchors"] for one in prober.rounds if "anchors" in one.errors]
    assert changes[-1] < changes[0]
    assert prober.size.pool == 4, "pools of all sequences have no noise"


def test_probing_stays_within_its_budget_and_uses_it(tmp_path):
    problem = Polynomial(UNITS, size=40, sequences=40, noise=2.0)
    labels = np.arange(UNITS) % 2
    clusters = Clusters(labels, draw_pools(labels, 40, 4, 0))
    for budget in (150, 400, 1000):
        folder = tmp_path / str(budget)
        folder.mkdir()
        prober, sizes, _ = grown(problem, clusters, folder, budget=budget, tolerance=0.0)
        assert sizes[-1].differentiated <= budget
        check = 2 * prober.size.pooled
        assert prober.size.differentiated - check <= budget
        unspent = budget - sizes[-1].differentiated
        assert unspent < check + (1 + prober.size.rank) * max(8, prober.size.pooled)
        assert {"greedy", "pool", "check"} >= {one.kind for one in prober.rounds[2:]}


@pytest.mark.parametrize("budget", [0, 40])
def test_without_a_budget_the_smallest_rank_is_probed(budget, tmp_path):
    problem = Polynomial(UNITS, size=40, sequences=40, noise=2.0)
    labels = np.arange(UNITS) % 2
    clusters = Clusters(labels, draw_pools(labels, 40, 4, 0))
    prober, sizes, _ = grown(problem, clusters, tmp_path, budget, tolerance=0.0, most=MIN_RANK)
    assert prober.curvature.rank == MIN_RANK
    assert sizes[-1].pool == 4


def test_clusters_whose_sequences_are_all_in_the_pool_do_not_grow(tmp_path):
    problem = Polynomial(UNITS, size=SIZE, sequences=40, noise=2.0, kinds=1)
    labels = np.array([0, 1, 1, 1, 1, 1])
    clusters = Clusters(labels, draw_pools(labels, 40, 30, 0))
    prober, sizes, _ = grown(problem, clusters, tmp_path, tolerance=1e-3)
    assert [len(pool) for pool in prober.clusters.pools] == [40, 200]
    assert float(prober.curvature.middle.missing_shares.max()) == 0
    assert sizes[-1].pooled == 240


@pytest.mark.parametrize("anchors", [1, 2, 3])
def test_every_probed_step_has_the_same_probes(case, anchors):
    along = probed(case, 6, anchors=anchors).curvature
    assert len(along.steps) == anchors
    assert all(0 <= t < STEPS for t in along.steps)
    for curvature in along.at:
        assert torch.equal(curvature.probes.tensor, along.middle.probes.tensor)
    assert along.rank == 6


def test_more_probes_than_directions_do_no_harm(tmp_path):
    problem = Polynomial(UNITS, size=3, noise=0.0)
    config = optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, STEPS, 1, config, tmp_path) as about:
        prober = probed((about, every_sequence(problem, np.arange(UNITS))), 30)
        assert true_error((about, None), prober) < 1e-6


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_sensitivities_are_the_derivatives_of_the_goals_at_the_end(kind, tmp_path):
    problem = Polynomial(UNITS, size=SIZE, noise=0.0)
    warm, changes = warm_without_memory(problem)
    config = optimizer_config(learning_rate=0.3, beta1=0.0, **changes, **KINDS[kind])
    with barycentre(problem, warm, STEPS, 1, config, tmp_path) as about:
        clusters = every_sequence(problem, np.zeros(UNITS, np.int64))
        curvature = curvature_along(about, clusters).middle
        rows = sensitivities(about, curvature)
        places = [(t, goal) for t in (10, 6, 2) for goal in range(len(problem.goals))]
        for row, (t, goal) in zip(rows, places, strict=True):
            expected = -true_sensitivity(about, warm.parameters, t, goal)
            cosine = float(row @ expected / row.norm() / expected.norm())
            assert cosine > 1 - 1e-6, (
                f"goal {goal} at step {t}: cosine {cosine:.6f} with the true derivative"
            )


def test_sensitivities_stay_finite_where_changes_grow_without_bound(tmp_path):
    problem = Polynomial(UNITS, size=SIZE, noise=0.0)
    config = optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, STEPS, 1, config, tmp_path) as about:
        rows = sensitivities(about, Stiff())
    assert rows.tensor.isfinite().all(), "the lengths of the derivatives overflow"
    assert torch.allclose(rows.squared_norms(), torch.ones(len(rows), dtype=torch.float64))


class Stiff:
    """A curvature that multiplies derivatives so much in each step that 12 steps overflow."""

    def apply_mean(self, rows):
        return rows.copy().scale(torch.full((len(rows),), 1e40, dtype=torch.float64))


def true_sensitivity(about, theta, place, goal):
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

"""The barycentre step is the expectation over schedules, from all units or from pools."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from problems import (
    HORIZON,
    KINDS,
    Polynomial,
    barycentre,
    every_sequence,
    language_problem,
    optimizer_config,
    relative_error,
    warm_state,
)
from trainorder.expansion.barycentre import barycentre_step
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.expansion.gradient_moments import CentredMoments, exact_moments, pooled_moments
from trainorder.expansion.pools import Pools
from trainorder.numerics.derivatives import gradient
from trainorder.training.optimizer import MOMENTS, AdamW, build_optimizer
from trainorder.training.problem import unit_gradients

LABELS = np.array([0, 0, 1, 0, 1, 1])


def from_pools(problem, clusters, theta):
    """Return the moments that the pools of `clusters` estimate."""
    pools = Pools(clusters, problem.sequences)
    return pooled_moments(pools, pools.gradients(problem, theta))


@pytest.mark.parametrize("k", [1, 2, 3, 6])
def test_moments_are_the_expectation_over_all_draws_of_a_step(k):
    problem, config = Polynomial(6, degree=3), optimizer_config()
    state = warm_state(problem, problem.start, config)
    theta = state.parameters.clone()
    table = [gradient(lambda x, u=u: problem.loss(x, u), theta) for u in range(6)]
    draws = [torch.stack([table[u] for u in draw]).mean(0) for draw in combinations(range(6), k)]
    mean = torch.stack(draws).mean(0)
    square = torch.stack([draw**2 for draw in draws]).mean(0)
    expected_m = config.beta1 * state.exp_avg + (1 - config.beta1) * mean
    expected_v = config.beta2 * state.exp_avg_sq + (1 - config.beta2) * square
    moments = exact_moments(unit_gradients(problem, theta))
    barycentre_step(moments, AdamW(config, HORIZON), state, 6, k)
    assert relative_error(state.exp_avg, expected_m) < 1e-12, "the mean gradient is wrong"
    assert relative_error(state.exp_avg_sq, expected_v) < 1e-12, (
        f"E[g^2] is wrong for {k} of 6 units drawn without replacement"
    )


@pytest.mark.parametrize("k", [1, 2, 6])
@pytest.mark.parametrize("kind", ["sgd", "sgd with momentum"])
def test_under_sgd_a_step_is_the_mean_over_all_draws(kind, k):
    problem, config = Polynomial(6, degree=3), optimizer_config(weight_decay=0.1, **KINDS[kind])
    state, optimizer = warm_state(problem, problem.start, config), build_optimizer(config, HORIZON)
    table = unit_gradients(problem, state.parameters)
    draws = []
    for draw in combinations(range(6), k):
        draws.append(state.clone())
        optimizer.update(draws[-1], table[list(draw)].mean(0))
    barycentre_step(exact_moments(table), optimizer, state, 6, k)
    for name in MOMENTS:
        mean = torch.stack([getattr(draw, name) for draw in draws]).mean(0)
        error = relative_error(getattr(state, name), mean)
        assert error < 1e-12, f"{name} is not the mean over draws"


def test_the_table_contains_the_gradients_along_the_path(tmp_path):
    problem, config = Polynomial(4), optimizer_config()
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, 5, 1, config, tmp_path) as about:
        assert about.path.anchors.tolist() == about.table.anchors.tolist() == list(range(5))
        for t in range(5):
            theta = about.path.parameters(t)
            for unit in range(4):
                expected = gradient(lambda x, u=unit: problem.loss(x, u), theta)
                assert torch.equal(about.table.at(t)[unit], expected), f"row ({t}, {unit}) differs"


@pytest.mark.parametrize("kind", ["polynomial", "language", "pairs"])
def test_pools_of_all_sequences_give_the_exact_moments(kind):
    problem = Polynomial(6, sequences=5)
    if kind != "polynomial":
        problem = language_problem(6, 4, pairs=kind == "pairs")
    theta = problem.start if kind == "polynomial" else problem.model.parameters()
    exact = exact_moments(unit_gradients(problem, theta))
    pooled = from_pools(problem, every_sequence(problem, np.arange(6)), theta)
    assert relative_error(pooled.mean, exact.mean) < 1e-10, "the mean is wrong"
    assert relative_error(pooled.variance, exact.variance) < 1e-10, (
        "the variance contains sampling noise or a spread within clusters of one unit"
    )
    by_domain = from_pools(problem, every_sequence(problem, LABELS), theta)
    assert relative_error(by_domain.mean, exact.mean) < 1e-10, (
        "the shares of the clusters are wrong"
    )


def test_moments_from_pools_are_unbiased():
    problem = Polynomial(6, sequences=8, noise=2.0, kinds=2, spread=0.0)
    labels = problem.kind.numpy()
    exact = exact_moments(unit_gradients(problem, problem.start))
    estimates = [
        from_pools(problem, Clusters(labels, draw_pools(labels, 8, 8, seed)), problem.start)
        for seed in range(300)
    ]
    mean = torch.stack([moments.mean for moments in estimates])
    variance = torch.stack([moments.variance for moments in estimates])
    error = (mean.mean(0) - exact.mean).abs() / (mean.std(0) / len(estimates) ** 0.5)
    assert float(error.max()) < 4, "the mean over pools is not the mean gradient"
    # Units of one kind differ only by the noise of their own sequences. A mean of S new sequences
    # would have 1 / S of the variance of one sequence.
    spread = torch.stack(
        [
            gradient(lambda x, u=u, s=s: problem.sample_loss(x, np.array([[u, s]])), problem.start)
            for u in range(6)
            for s in range(8)
        ]
    ).unflatten(0, (6, 8))
    between = (torch.stack([spread[labels == c].flatten(0, 1).mean(0) for c in (0, 1)])).var(
        0, correction=0
    )
    sigma = torch.stack([spread[labels == c].flatten(0, 1).var(0) for c in (0, 1)]).mean(0)
    expected = between + sigma / 8 * (1 - 1 / 3)
    ratio = float(variance.mean(0).sum() / expected.sum())
    assert ratio == pytest.approx(1, abs=0.1), (
        f"the variance over units is wrong by the factor {ratio:.2f}"
    )


def test_larger_pools_have_smaller_errors():
    problem = Polynomial(6, sequences=16, noise=1.0)
    exact = exact_moments(unit_gradients(problem, problem.start))

    def error(size):
        draws = [
            from_pools(problem, Clusters(LABELS, draw_pools(LABELS, 16, size, s)), problem.start)
            for s in range(20)
        ]
        return np.mean([relative_error(moments.mean, exact.mean) for moments in draws])

    errors = [error(size) for size in (3, 12, 24, 48)]
    assert errors == sorted(errors, reverse=True), f"larger pools, larger errors: {errors}"
    assert errors[-1] < 1e-10, "a pool of all sequences is not exact"


def test_moments_at_an_anchor_are_exact_for_any_pools():
    problem = Polynomial(6)
    clusters = Clusters(LABELS, draw_pools(LABELS, problem.sequences, 2, 0))
    exact = exact_moments(unit_gradients(problem, problem.start))
    pooled = [from_pools(problem, clusters, problem.start) for _ in range(2)]
    at = CentredMoments(exact, pooled[0]).at(pooled[1])
    assert relative_error(at.mean, exact.mean) < 1e-14, "the noise of the pools does not cancel"
    assert relative_error(at.variance, exact.variance) < 1e-14


def test_centred_moments_have_smaller_errors_than_pooled_moments():
    problem = Polynomial(6, noise=1.0)
    clusters = Clusters(LABELS, draw_pools(LABELS, problem.sequences, 2, 0))
    exact = exact_moments(unit_gradients(problem, problem.start))
    centred = CentredMoments(exact, from_pools(problem, clusters, problem.start))
    moved = problem.start + 0.05
    exact_mean = exact_moments(unit_gradients(problem, moved)).mean
    pooled_error = relative_error(from_pools(problem, clusters, moved).mean, exact_mean)
    pooled = from_pools(problem, clusters, moved)
    error = relative_error(centred.at(pooled).mean, exact_mean)
    assert error < pooled_error / 3, "the variance is not reduced"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_pools_of_all_sequences_give_the_path_of_all_anchors(kind, tmp_path):
    problem, config = Polynomial(6, degree=3), optimizer_config(weight_decay=0.1, **kind)
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, 6, 1, config, tmp_path / "exact") as about:
        ends = [about.path.state(6)]
    clusters = every_sequence(problem, np.arange(6))
    given = np.array([0, 5])
    with barycentre(problem, warm, 6, 1, config, tmp_path / "pools", clusters, given) as about:
        assert about.path.anchors.tolist() == [0, 5]
        ends.append(about.path.state(6))
    for name in MOMENTS:
        exact, pooled = (getattr(end, name) for end in ends)
        assert relative_error(pooled, exact) < 1e-10, f"{name}: the path differs"


def test_small_pools_change_the_path_little(tmp_path):
    problem, config = Polynomial(6, noise=1.0), optimizer_config()
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, 6, 1, config, tmp_path / "exact") as about:
        end = about.path.parameters(6)
    clusters = Clusters(LABELS, draw_pools(LABELS, problem.sequences, 3, 0))
    given = np.array([0, 5])
    with barycentre(problem, warm, 6, 1, config, tmp_path / "pools", clusters, given) as about:
        pooled_end = about.path.parameters(6)
    assert float((pooled_end - end).norm() / (end - warm.parameters).norm()) < 0.05


def test_the_pools_are_differentiated_once_at_every_step(tmp_path):
    problem, config = Polynomial(6), optimizer_config()
    warm = warm_state(problem, problem.start, config)
    clusters = Clusters(LABELS, draw_pools(LABELS, problem.sequences, 3, 0))
    problem.meter.counts.clear()
    with barycentre(problem, warm, 9, 1, config, tmp_path, clusters, tolerance=1e9):
        measured = len(list((tmp_path / "work").rglob("anchor-*.h5")))
    expected = measured * problem.units * problem.sequences + 9 * sum(map(len, clusters.pools))
    assert problem.meter.total["gradients"] == expected, "the pools are differentiated twice"


@pytest.mark.parametrize(("given", "tolerance"), [(None, 1e-6), (np.array([0, 3, 6]), 0.0)])
def test_an_interrupted_path_resumes_to_the_same_bytes_and_counts(
    given, tolerance, tmp_path, monkeypatch
):
    problem, config = Polynomial(4, degree=3), optimizer_config()
    warm = warm_state(problem, problem.start, config)
    clusters = Clusters(np.array([0, 1, 0, 1]), draw_pools(np.array([0, 1, 0, 1]), 4, 3, 0))

    def make():
        args = (problem, warm, 7, 1, config, tmp_path, clusters, given, tolerance)
        with barycentre(*args) as about:
            return about.path.anchors.tolist()

    problem.meter.counts.clear()
    chosen = make()
    counts = dict(problem.meter.total)
    files = [tmp_path / name for name in ("table-0.h5", "path.h5")]
    before = [file.read_bytes() for file in files]
    for file in [*files, *(tmp_path / "work").rglob("0000001[0-9].h5")]:
        file.unlink()
    kept = sorted((tmp_path / "work").rglob("anchor-*.h5"))
    assert len(kept) > 2
    kept[-1].unlink()
    inode = kept[0].stat().st_ino
    problem.meter.counts.clear()
    computed, loss = [], problem.loss
    monkeypatch.setattr(
        problem, "loss", lambda theta, unit: (computed.append(unit), loss(theta, unit))[1]
    )
    assert make() == chosen, "the anchors differ"
    assert [file.read_bytes() for file in files] == before, "a resumed path differs"
    assert kept[0].stat().st_ino == inode, "an existing anchor was rewritten"
    assert computed == [0, 1, 2, 3], "gradients of existing anchors are computed again"
    assert problem.meter.total == counts, "an interruption changes the counted cost"


def clipped_draws(problem, state, optimizer, k):
    """Return the moments of a step, and the mean and mean square of the clipped gradients."""
    table = unit_gradients(problem, state.parameters)
    draws = torch.stack([table[list(draw)].mean(0) for draw in combinations(range(6), k)])
    clipped = draws * optimizer.clip_scale(draws.norm(dim=1, keepdim=True))
    return exact_moments(table), clipped.mean(0), clipped.square().mean(0), draws.norm(dim=1)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0], ids=["no step", "half the steps", "all steps"])
@pytest.mark.parametrize("k", [1, 2])
def test_a_clipped_step_is_near_the_mean_of_clipped_gradients(k, share):
    """One factor serves all units; that of the norm of the mean gradient clips far too little."""
    problem = Polynomial(6, size=40, degree=3)
    plain = optimizer_config(beta1=0.0, beta2=0.0)
    state = warm_state(problem, problem.start, plain)
    *_, norms = clipped_draws(problem, state, build_optimizer(plain, HORIZON), k)
    largest = float(norms.quantile(1 - share)) * (1.01 if share == 0 else 0.99 if share == 1 else 1)
    optimizer = build_optimizer(replace(plain, gradient_clip=largest), HORIZON)
    moments, mean, square, _ = clipped_draws(problem, state, optimizer, k)
    barycentre_step(moments, optimizer, state, 6, k)
    error = relative_error(state.exp_avg, mean)
    assert error < (1e-12 if share == 0 else 0.06), f"the mean is wrong by {error:.2f}"
    error = relative_error(state.exp_avg_sq, square)
    assert error < (1e-12 if share == 0 else 0.13), f"the second moment is wrong by {error:.2f}"
    by_mean = moments.mean * optimizer.clip_scale(moments.mean.norm())
    error_by_mean = relative_error(by_mean, mean)
    assert share < 1 or error_by_mean > 0.15, "both norms give the same, so this shows nothing"

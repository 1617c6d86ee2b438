"""`subsample` equals retraining with whole units, and its error falls with its size."""

import numpy as np
import pytest
import torch

from problems import (
    KINDS,
    Polynomial,
    barycentre,
    every_sequence,
    ignore,
    language_problem,
    low_rank,
    optimizer_config,
    relative_error,
    torch_states,
    warm_state,
)
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.estimators.subsample import Subsample, first_sequences
from trainorder.expansion.clusters import Clusters, draw_pools
from trainorder.numerics.derivatives import gradient
from trainorder.training.optimizer import ALL

UNITS = 6
SCHEDULES = {
    "permutations": [[[5], [2], [0], [4], [1], [3]], [[1], [0], [2], [3], [5], [4]]],
    "two units a step": [[[5, 2], [0, 4], [1, 3]], [[2, 1], [0, 4], [5, 3]]],
    "missing and repeated units": [[[5], [2], [2], [4], [1], [1]], [[3]] * 6],
    "two epochs, the same unit twice in a step": [
        [[2, 2], [0, 1], [3, 3], [5, 4], [1, 0], [4, 5]],
        [[0, 3], [1, 4], [2, 5], [3, 0], [4, 1], [5, 2]],
    ],
}


def test_each_visit_of_a_unit_gives_its_first_sequences():
    rows = first_sequences(torch.tensor([4, 1, 4]), 2)
    assert rows.tolist() == [[4, 0], [4, 1], [1, 0], [1, 1], [4, 0], [4, 1]]


@pytest.mark.parametrize("given", [None, np.array([0, 2])], ids=["all anchors", "two anchors"])
@pytest.mark.parametrize(
    ("kind", "changes"),
    [("cubic", {}), ("cubic", KINDS["sgd with momentum"]), ("language", {})],
    ids=["cubic", "cubic, sgd", "language"],
)
@pytest.mark.parametrize("schedules", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_with_whole_units_it_equals_retraining(schedules, kind, changes, given, tmp_path):
    problem = (
        Polynomial(UNITS, degree=3, sequences=3) if kind == "cubic" else language_problem(6, 3)
    )
    rate = 0.005 if changes else 0.02
    config = optimizer_config(learning_rate=rate, weight_decay=0.1, **changes)
    theta = problem.start if kind == "cubic" else problem.model.parameters()
    warm = warm_state(problem, theta, config)
    steps, k = np.array(schedules).shape[1:]
    labels = np.array([0, 0, 0, 1, 1, 1])
    clusters = Clusters(labels, draw_pools(labels, 3, 4, 0))
    given = None if given is None else np.array([0, steps - 1])
    args = (problem, warm, steps, k, config, tmp_path)
    with barycentre(*args, clusters if given is not None else None, given) as about:
        probes = torch.eye(problem.size, dtype=torch.float64)[:3]
        model, _ = low_rank(about, clusters, 4, probes)
        estimator = Subsample(about, model, 3, 0)
        results = estimator.replay(torch.tensor(schedules), ignore)
    assert estimator.weight == 1, "whole units do not have weight 1"
    for row, schedule in zip(results, schedules, strict=True):
        truth = torch_states(problem, warm, schedule, config)[-1].parameters
        error = relative_error(row, truth)
        assert error < 1e-9, f"error {error:.1e} against torch's retraining"


def test_a_tail_as_long_as_the_window_equals_retraining(tmp_path):
    problem, config = Polynomial(UNITS, degree=3), optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, 6, 1, config, tmp_path) as about:
        model, _ = low_rank(about, every_sequence(problem, np.zeros(UNITS, np.int64)), 2)
        estimator = Subsample(about, model, 1, 0)
        estimator.tail = 6
        results = estimator.replay(torch.tensor(SCHEDULES["permutations"]), ignore)
    for row, schedule in zip(results, SCHEDULES["permutations"], strict=True):
        truth = torch_states(problem, warm, schedule, config)[-1].parameters
        assert relative_error(row, truth) < 1e-10


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """Return runs of `subsample` by size on units of noisy sequences, and the truth."""
    config = optimizer_config(learning_rate=0.05)
    rng = np.random.default_rng(0)
    schedules = torch.tensor(np.stack([rng.permutation(UNITS)[:, None] for _ in range(8)]))
    problem = Polynomial(UNITS, size=12, sequences=8, noise=0.6)
    warm = warm_state(problem, problem.start, config)
    truth = torch.stack(
        [torch_states(problem, warm, row, config)[-1].parameters for row in schedules.tolist()]
    )
    results = {}
    with barycentre(problem, warm, 6, 1, config, tmp_path_factory.mktemp("store")) as about:
        model, _ = low_rank(about, every_sequence(problem, np.zeros(UNITS, np.int64)))
        for size in (1, 2, 3, 4, 6, 8):
            estimator = Subsample(about, model, size, 0)
            results[size] = (estimator.weight, estimator.replay(schedules, ignore))
    return truth, results


def test_a_common_prefix_is_differentiated_once_and_changes_no_result(tmp_path, monkeypatch):
    problem, config = Polynomial(UNITS, degree=3), optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    orders = [[[0], [1], [2], [3], [4], [5]], [[0], [1], [2], [3], [5], [4]]]
    with barycentre(problem, warm, 6, 1, config, tmp_path) as about:
        model, _ = low_rank(about, every_sequence(problem, np.zeros(UNITS, np.int64)), 2)
        estimator = Subsample(about, model, 1, 0)
        alone = torch.cat([estimator.replay(torch.tensor([order]), ignore) for order in orders])
        differentiate, calls = estimator._gradient, []
        monkeypatch.setattr(
            estimator, "_gradient", lambda *given: calls.append(given) or differentiate(*given)
        )
        together = estimator.replay(torch.tensor(orders), ignore)
    assert torch.allclose(together, alone, rtol=1e-12), "an order got the gradients of another one"
    assert len(calls) == 4 + 2 * 2, "the four common steps were differentiated more than once"


def test_the_weight_is_a_share_and_grows_with_the_size(noisy):
    _, results = noisy
    weights = [weight for weight, _ in results.values()]
    assert all(0 <= weight <= 1 for weight in weights), weights
    assert weights[-1] == 1
    assert weights[1] < weights[3] < 1, f"more text has no larger weight: {weights}"


def test_the_weight_minimizes_the_error_of_gradient_changes(tmp_path):
    problem = Polynomial(UNITS, size=30, sequences=8, noise=0.6)
    config = optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    units = [torch.tensor([unit]) for unit in range(UNITS)]
    with barycentre(problem, warm, 6, 1, config, tmp_path) as about:
        model, _ = low_rank(about, every_sequence(problem, np.zeros(UNITS, np.int64)))
        metric = second_moment_scale(about)
        rng = torch.Generator().manual_seed(0)
        path_theta, best, results = model.parameters(3), {}, {}
        for size in (2, 4, 6):
            estimator = Subsample(about, model, size, 0)
            across = along = 0.0
            for unit in units * 5:
                theta = path_theta + 0.1 * torch.randn(30, generator=rng, dtype=torch.float64)
                part, true = (
                    (change(problem, first_sequences(unit, n), theta, path_theta)) / metric
                    for n in (size, 8)
                )
                low_rank_change = model.curvature(3, unit[None], theta[None])(ALL)[0] / metric
                along += float((part - low_rank_change) @ (true - low_rank_change))
                across += float((part - low_rank_change) @ (part - low_rank_change))
            best[size], results[size] = along / across, estimator.weight
    for size, weight in best.items():
        assert results[size] == pytest.approx(weight, abs=0.12), (
            f"{size} of 8 sequences: {results[size]:.2f} is the weight, {weight:.2f} would be best"
        )


def change(problem, rows, theta, path_theta):
    """Return the change of the gradient of some sequences from `path_theta` to `theta`."""
    before, after = (
        gradient(lambda x: problem.sample_loss(x, rows), at) for at in (path_theta, theta)
    )
    return after - before


def test_the_error_falls_as_the_size_grows(noisy):
    truth, results = noisy
    errors = {size: float((ends - truth).norm(dim=1).mean()) for size, (_, ends) in results.items()}
    assert errors[1] > errors[3] > errors[6] > errors[8], f"errors by size do not fall: {errors}"
    assert errors[8] < 1e-10


def test_sequences_without_new_information_have_a_small_weight(tmp_path):
    problem = Polynomial(UNITS, size=12, sequences=40, noise=2.0, kinds=2, spread=0.0)
    config = optimizer_config(learning_rate=0.05)
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, 6, 1, config, tmp_path) as about:
        model, _ = low_rank(about, every_sequence(problem, problem.kind.numpy()))
        assert Subsample(about, model, 6, 0).weight < 0.3, "noise has a large weight"


def test_the_weight_is_defined_without_any_displacement(tmp_path):
    problem = Polynomial(UNITS, size=12, kinds=1, spread=0.0)
    config = optimizer_config()
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, 6, 1, config, tmp_path) as about:
        model, _ = low_rank(about, every_sequence(problem, np.zeros(UNITS, np.int64)))
        assert 0 <= Subsample(about, model, 2, 0).weight <= 1

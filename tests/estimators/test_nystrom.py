"""With all directions probed, `nystrom` equals order 1; with a full tail, it equals retraining."""

import numpy as np
import pytest
import torch

from problems import (
    KINDS,
    Polynomial,
    barycentre,
    every_sequence,
    expansion,
    ignore,
    low_rank,
    optimizer_config,
    relative_error,
    torch_states,
    warm_state,
)
from trainorder.estimators.nystrom import Nystrom
from trainorder.estimators.taylor import Taylor1
from trainorder.expansion.expansion import Expansion

UNITS, SIZE = 6, 8


def permutations(count, epochs, units_per_step):
    rows = [
        np.concatenate([np.random.default_rng([i, e]).permutation(UNITS) for e in range(epochs)])
        for i in range(count)
    ]
    return torch.from_numpy(np.stack(rows).reshape(count, -1, units_per_step))


def unbalanced(count, units_per_step):
    """Return schedules in which some units are missing and others repeated."""
    rows = [np.random.default_rng([7, i]).integers(0, UNITS, UNITS) for i in range(count)]
    return torch.from_numpy(np.stack(rows).reshape(count, -1, units_per_step))


SCHEDULES = {
    "permutations": permutations(5, 1, 1),
    "two units a step": permutations(5, 1, 2),
    "three units a step, two epochs": permutations(3, 2, 3),
    "two epochs": permutations(3, 2, 1),
    "missing and repeated units": unbalanced(5, 1),
    "missing and repeated units, two a step": unbalanced(5, 2),
}


def about_path(path, problem, config, schedules, folder):
    """Return the context of an expansion about a path as long as the schedules."""
    warm = warm_state(problem, problem.start, config)
    _, steps, k = schedules.shape
    if path == "barycentre":
        return warm, barycentre(problem, warm, steps, k, config, folder)
    reference = (np.arange(steps * k) % UNITS).reshape(steps, k)
    return warm, expansion(problem, torch_states(problem, warm, reference, config), config, folder)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["reference", "barycentre"])
@pytest.mark.parametrize("schedules", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_with_all_directions_and_a_cluster_for_each_unit_it_equals_order_1(
    schedules, path, kind, tmp_path
):
    problem = Polynomial(UNITS, size=SIZE, noise=0.0)
    rate = 0.02 if kind == "sgd with momentum" else 0.05
    changes = {"weight_decay": 0.1, "schedule": "cosine", **KINDS[kind]}
    config = optimizer_config(learning_rate=rate, **changes)
    _, context = about_path(path, problem, config, schedules, tmp_path)
    with context as about:
        model, _ = low_rank(about, every_sequence(problem, np.arange(UNITS)))
        stored = Expansion(problem, about.optimizer, model, None)  # as rule `estimate` opens it
        estimated = Nystrom(stored, model).replay(schedules, ignore)
        expected = Taylor1(about).replay(schedules, ignore)
    origin = expected.mean(0)
    assert float((expected - origin).norm() / origin.norm()) > 1e-4, (
        "all orders end at the same parameters"
    )
    error = relative_error(estimated - origin, expected - origin)
    assert error < 1e-6, f"units, clusters or coordinates are mixed up: {error:.1e}"


@pytest.mark.parametrize("path", ["reference", "barycentre"])
def test_a_tail_as_long_as_the_window_equals_retraining(path, tmp_path):
    problem = Polynomial(UNITS, size=SIZE, degree=3)
    config = optimizer_config(learning_rate=0.05)
    schedules = SCHEDULES["two units a step"]
    warm, context = about_path(path, problem, config, schedules, tmp_path)
    with context as about:
        model, _ = low_rank(about, every_sequence(problem, np.zeros(UNITS, np.int64)), size=2)
        estimator = Nystrom(Expansion(problem, about.optimizer, model, None), model)
        estimator.tail = 3
        estimated = estimator.replay(schedules, ignore)
    for row, schedule in zip(estimated, schedules.tolist(), strict=True):
        truth = torch_states(problem, warm, schedule, config)[-1].parameters
        assert relative_error(row, truth) < 1e-10


def test_the_curvature_of_clusters_reduces_the_error(tmp_path):
    problem = Polynomial(UNITS, size=SIZE, kinds=2, spread=0.1)
    config = optimizer_config(learning_rate=0.05)
    schedules = SCHEDULES["permutations"]
    warm, context = about_path("barycentre", problem, config, schedules, tmp_path)
    truth = torch.stack(
        [torch_states(problem, warm, row, config)[-1].parameters for row in schedules.tolist()]
    )
    with context as about:
        errors = []
        for labels, probes in [
            (problem.kind.numpy(), torch.eye(SIZE, dtype=torch.float64)[:1]),
            (np.zeros(UNITS, np.int64), None),
            (problem.kind.numpy(), None),
        ]:
            model, _ = low_rank(about, every_sequence(problem, labels), probes=probes)
            estimated = Nystrom(about, model).replay(schedules, ignore)
            errors.append(float((estimated - truth).norm()))
    assert errors[2] < errors[1] < errors[0], (
        f"errors with one probe, one cluster, and all: {errors}; they do not fall"
    )

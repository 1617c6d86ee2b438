"""The parts of a replay: its gradients alone are those of the same sequences."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch

from bench.replay_parts import arithmetic, sampled
from problems import HORIZON, language_problem, optimizer_config, torch_states, warm_state
from trainorder.estimators.corrected import Corrected
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.known_runs import KnownRuns
from trainorder.expansion.path import StoredPath, write_path
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.optimizer import build_optimizer

UNITS, SIZE = 4, 2
SCHEDULE = np.arange(UNITS)[:, None]
SCHEDULES = torch.tensor([[[2], [1], [0], [3]], [[2], [3], [1], [0]]])  # alike in the first step


@pytest.fixture
def problem():
    """Return a small language model with units of three sequences."""
    return language_problem(units=UNITS, unit_size=3, dtype=torch.float32)


@pytest.fixture
def opening(problem, tmp_path):
    """Yield a function that opens `corrected` of two sequences, for any problem."""
    config = optimizer_config()
    warm = warm_state(problem, problem.model.parameters(), config)
    file = tmp_path / "path.h5"
    states = torch_states(problem, warm, SCHEDULE, config)
    write_path(file, "k", states.__getitem__, steps=UNITS, anchors=np.arange(UNITS))
    with opened(file, "k", "reference") as handle:
        path, ones = StoredPath(handle), torch.ones(problem.size)
        known = KnownRuns.measure(problem, path, SCHEDULE, [SIZE], ones, 0)
        optimizer = build_optimizer(config, HORIZON)

        def estimator(of_problem):
            expansion = Expansion(of_problem, optimizer, path, None)
            return nullcontext(Corrected(expansion, known, SIZE, 0))

        yield estimator


def test_the_gradients_alone_are_those_of_the_sequences_that_the_replay_differentiates(
    problem, opening
):
    before = problem.meter.total["gradients"]
    samples = sampled(opening, problem, SCHEDULES)
    assert problem.meter.total["gradients"] == before, "recording counts passes of the study"
    with opening(problem) as estimator:
        estimator.replay(SCHEDULES, lambda t, parameters: None)
    passed = problem.meter.total["gradients"] - before
    assert sum(map(len, samples)) == passed, "the replay differentiates other sequences"
    units = [rows[:, 0].tolist() for rows in samples]
    expected = [2, 1, 3, 0, 1, 3, 0]  # step by step; the first step of both orders only once
    assert units == [[unit] * SIZE for unit in expected]


def test_the_arithmetic_is_what_gradients_and_reading_leave():
    assert arithmetic({"replay": 5.0, "gradients": 3.0, "reading": 0.5}) == 1.5

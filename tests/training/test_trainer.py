"""Training equals that of torch, starts at the given state and resumes to the same bits."""

import numpy as np
import pytest
import torch

from problems import (
    HORIZON,
    KINDS,
    language_problem,
    optimizer_config,
    relative_error,
    torch_states,
    warm_state,
)
from trainorder.errors import DivergedError
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.optimizer import MOMENTS
from trainorder.training.trainer import start_state, train

SCHEDULE = np.array([[0, 3], [1, 4], [2, 5], [3, 3], [0, 1]])


class KilledError(Exception):
    """Simulates a killed process."""


def run(problem, start, config, folder, every=2, kill_at=None, observe=None):
    """Train along SCHEDULE; raise before step `kill_at`."""

    def batch(step):
        if step == kill_at:
            raise KilledError
        return problem.batch(SCHEDULE[step])

    return train(
        problem.model,
        start,
        batch,
        steps=len(SCHEDULE),
        config=config,
        horizon=HORIZON,
        checkpoints=Checkpoints(folder, "key", every),
        label="test",
        observe=observe,
    )


@pytest.mark.parametrize("pairs", [False, True], ids=["text", "pairs"])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_training_from_a_warm_state_equals_torch(kind, schedule, clip, pairs, tmp_path):
    problem = language_problem(pairs=pairs)
    config = optimizer_config(
        weight_decay=0.1, schedule=schedule, linear_warmup_steps=10, gradient_clip=clip, **kind
    )
    warm = warm_state(problem, problem.model.parameters(), config)
    result = run(problem, warm, config, tmp_path)
    state, losses = result.state, result.losses
    expected = torch_states(problem, warm, SCHEDULE, config)
    assert state.step == warm.step + len(SCHEDULE)
    for name in MOMENTS:
        error = relative_error(getattr(state, name), getattr(expected[-1], name))
        assert error < 1e-10, f"{name} differs from torch by {error:.1e}"
    first = np.mean([float(problem.loss(warm.parameters, u).detach()) for u in SCHEDULE[0]])
    assert losses[0] == pytest.approx(first, rel=1e-12), "the first loss is not the warm model's"


def test_the_configured_horizon_overrides_that_of_the_study(tmp_path):
    ends = []
    for horizon in (None, HORIZON, 9):
        problem = language_problem()
        config = optimizer_config(schedule="cosine", linear_warmup_steps=2, horizon=horizon)
        warm = warm_state(problem, problem.model.parameters(), config)
        ends.append(run(problem, warm, config, tmp_path / str(horizon)).state.parameters)
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[1], ends[2]), "the configured horizon has no effect"


@pytest.mark.parametrize("kill_at", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_killed_training_resumes_to_the_same_bits(kind, kill_at, tmp_path):
    problem, config = language_problem(), optimizer_config(weight_decay=0.1, **kind)
    start = start_state(problem.model)

    def observe(theta):
        return theta[:5].numpy().copy()

    whole = run(problem, start, config, tmp_path / "whole", observe=observe)
    with pytest.raises(KilledError):
        run(problem, start, config, tmp_path / "killed", kill_at=kill_at, observe=observe)
    saved = Checkpoints(tmp_path / "killed", "key", 2).latest(0)
    spent = float(saved[1]["seconds"]) if saved else 0.0
    resumed = run(problem, start, config, tmp_path / "killed", observe=observe)
    for name in MOMENTS:
        ends = (getattr(result.state, name) for result in (whole, resumed))
        assert torch.equal(*ends), f"resuming changes {name}"
    assert np.array_equal(whole.losses, resumed.losses), "resuming loses or repeats losses"
    assert resumed.seconds > spent, "the seconds before the kill are missing"
    assert np.array_equal(whole.rows, resumed.rows), "resuming loses or repeats observed rows"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_observed_rows_are_the_start_and_every_step(kind, tmp_path):
    problem, config = language_problem(), optimizer_config(**kind)
    start = start_state(problem.model)
    rows = run(problem, start, config, tmp_path, observe=lambda theta: theta.numpy().copy()).rows
    expected = torch_states(problem, start, SCHEDULE, config)
    assert len(rows) == len(SCHEDULE) + 1
    for row, state in zip(rows, expected, strict=True):
        assert np.allclose(row, state.parameters.numpy(), rtol=1e-9), (
            "a row belongs to another step"
        )


def test_a_loss_that_is_not_finite_raises_with_the_label_and_the_step(tmp_path):
    problem = language_problem(dtype=torch.float32)  # 1e30 squared overflows
    config = optimizer_config(learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"test: step \d: .*lower optimizer\.learning_rate"):
        run(problem, start_state(problem.model), config, tmp_path)

"""Means of the last states equal those of a float64 loop, in one training, in parts and resumed."""

import numpy as np
import pytest
import torch

from problems import HORIZON, language_problem, optimizer_config, torch_states, warm_state
from trainorder.training.averaged_states import AveragedStates, averaged_steps
from trainorder.training.checkpoints import Checkpoints
from trainorder.training.trainer import train

SCHEDULE = np.array([[0, 3], [1, 4], [2, 5], [3, 3], [0, 1], [4, 2]])
COUNT, READOUTS = 4, [3, 6]  # the two means overlap at step 3


class KilledError(Exception):
    """Simulates a killed process."""


def brute_force(states, readout, count):
    first = max(1, readout - count + 1)
    return sum(state.double() for state in states[first : readout + 1]) / (readout + 1 - first)


@pytest.mark.parametrize("shape", [(5,), (3, 5)], ids=["one training", "several orders"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_means_equal_a_float64_loop(dtype, shape):
    states = [torch.randn(*shape, dtype=dtype) for _ in range(7)]
    for count in (2, 4, 6):
        averages, moving = AveragedStates(READOUTS, count), torch.empty(*shape, dtype=dtype)
        for t, state in enumerate(states):
            moving.copy_(state)  # a replay changes its parameters in place
            averages.add(t, moving)
            if t in READOUTS:
                error = (averages.take(t) - brute_force(states, t, count)).abs().max()
                assert float(error) < 8 * torch.finfo(dtype).eps, f"{count} states until {t}"
        assert not averages.records(), "a mean that was taken is still kept"


def test_shared_states_stay_shared_until_orders_differ():
    paths, own = torch.randn(4, 5), torch.randn(2, 2, 5)
    states = [*(path.expand(2, -1) for path in paths), *own]
    averages = AveragedStates([3, 5], 3)
    for t, state in enumerate(states):
        averages.add(t, state)
    shared, different = averages.take(3), averages.take(5)
    assert shared.stride(0) == 0, "an estimate of all orders would be evaluated once for each"
    assert shared.shape == different.shape == (2, 5)
    assert torch.allclose(shared[0], paths[1:].mean(0), atol=1e-6)
    assert torch.allclose(different, (states[3] + own.sum(0)) / 3, atol=1e-6), "orders are mixed"


def test_the_state_before_the_window_is_in_no_mean():
    assert list(averaged_steps(6, 3)) == [4, 5, 6]
    assert list(averaged_steps(6, 6)) == [1, 2, 3, 4, 5, 6]
    assert list(averaged_steps(2, 6)) == [1, 2], "an early readout needs states before the window"


def test_without_a_count_there_are_no_means():
    averages = AveragedStates([6], None)
    averages.add(6, torch.ones(3))
    assert averages.take(6) is None
    assert not averages.needs(6)


def means(problem, warm, config, folder, every, kill_at=None):
    """Return the means of SCHEDULE, trained from readout to readout; raise before `kill_at`."""
    averages, result = AveragedStates(READOUTS, COUNT), {}
    state, first = warm, 0
    for readout in READOUTS:

        def batch(step, first=first):
            if first + step == kill_at:
                raise KilledError
            return problem.batch(SCHEDULE[first + step])

        trained = train(
            problem.model,
            state,
            batch,
            steps=readout - first,
            config=config,
            horizon=HORIZON,
            checkpoints=Checkpoints(folder, f"key-{readout}", every),
            label="test",
            averages=averages,
            before=first,
        )
        result[readout] = averages.take(readout).clone()
        state, first = trained.state, readout
    return result


def test_means_of_a_training_are_those_of_the_states_of_torch(tmp_path):
    problem, config = language_problem(), optimizer_config()
    warm = warm_state(problem, problem.model.parameters(), config)
    states = [one.parameters for one in torch_states(problem, warm, SCHEDULE, config)]
    for readout, mean in means(problem, warm, config, tmp_path, every=4).items():
        error = (mean - brute_force(states, readout, COUNT)).abs().max()
        assert float(error) < 1e-12, f"the mean at {readout} has other states"


@pytest.mark.parametrize("kill_at", range(1, 6))
@pytest.mark.parametrize("every", [1, 2, 9])
def test_a_killed_training_resumes_to_the_same_means(every, kill_at, tmp_path):
    problem, config = language_problem(), optimizer_config()
    warm = warm_state(problem, problem.model.parameters(), config)
    whole = means(problem, warm, config, tmp_path / "whole", every)
    with pytest.raises(KilledError):
        means(problem, warm, config, tmp_path / "killed", every, kill_at)
    resumed = means(problem, warm, config, tmp_path / "killed", every)
    for readout in READOUTS:
        assert torch.equal(whole[readout], resumed[readout]), f"the mean at {readout} differs"

"""The barycentre step is the expectation over schedules, and its run resumes."""

from itertools import combinations

import pytest
import torch

from problems import HORIZON, Polynomial, barycentre, optimizer_config, relative_error, warm_state
from trainorder.barycentre import barycentre_step
from trainorder.derivatives import gradient
from trainorder.optimizer import AdamW


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
    barycentre_step(problem, AdamW(config, HORIZON), state, k, lambda unit, g: None)
    assert relative_error(state.exp_avg, expected_m) < 1e-12, "the mean gradient is off"
    assert relative_error(state.exp_avg_sq, expected_v) < 1e-12, (
        f"E[g^2] is not that of {k} of 6 units drawn without replacement"
    )


def test_table_along_the_path_holds_the_gradients_at_the_path(tmp_path):
    problem, config = Polynomial(4), optimizer_config()
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, 5, 1, config, tmp_path) as about:
        for t in range(5):
            theta = about.path.parameters(t)
            for unit in range(4):
                expected = gradient(lambda x, u=unit: problem.loss(x, u), theta)
                assert torch.equal(about.table.at(t)[unit], expected), f"row ({t}, {unit}) is off"


def test_a_path_whose_last_shard_is_lost_is_finished_to_the_same_bytes(tmp_path):
    problem, config = Polynomial(4), optimizer_config()
    warm = warm_state(problem, problem.start, config)
    with barycentre(problem, warm, 6, 1, config, tmp_path):
        pass
    files = [tmp_path / name for name in ("table-0.h5", "table-1.h5", "path.h5")]
    before = [file.read_bytes() for file in files]
    files[1].unlink()
    kept = files[0].stat().st_ino
    with barycentre(problem, warm, 6, 1, config, tmp_path):
        pass
    assert [file.read_bytes() for file in files] == before, "a resumed path differs"
    assert files[0].stat().st_ino == kept, "a finished shard was made again"

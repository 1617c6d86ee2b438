"""The gradient table returns stored gradients and interpolates between anchors."""

import numpy as np
import pytest
import torch

from problems import Polynomial, expansion, optimizer_config, torch_states, warm_state
from trainorder.expansion.even_anchors import even_anchors
from trainorder.numerics.derivatives import gradient


@pytest.mark.parametrize("steps", [2, 7, 32])
@pytest.mark.parametrize("anchors", [2, 5, None])
def test_the_first_and_the_last_step_are_anchors(steps, anchors):
    places = even_anchors(steps, min(anchors, steps) if anchors else None)
    assert places[0] == 0
    assert places[-1] == steps - 1
    assert len(places) == (min(anchors, steps) if anchors else steps)


@pytest.mark.parametrize("shards", [1, 3])
def test_gradients_between_anchors_are_interpolated_linearly(shards, tmp_path):
    problem, config = Polynomial(3), optimizer_config()
    warm = warm_state(problem, problem.start, config)
    states = torch_states(problem, warm, [[0], [1], [2], [0], [1], [2], [0]], config)
    with expansion(problem, states, config, tmp_path, anchors=3, shards=shards) as about:
        assert about.table.anchors.tolist() == [0, 3, 6]
        at = [
            torch.stack(
                [
                    gradient(lambda x, u=u: problem.loss(x, u), states[t].parameters)
                    for u in range(3)
                ]
            )
            for t in range(7)
        ]
        weights = {1: (0, 3, 1 / 3), 2: (0, 3, 2 / 3), 5: (3, 6, 2 / 3)}
        for t in (0, 3, 6):
            assert torch.equal(about.table.at(t), at[t]), f"anchor {t} differs"
        for t, (low, high, weight) in weights.items():
            expected = (1 - weight) * at[low] + weight * at[high]
            assert torch.allclose(about.table.at(t), expected, rtol=1e-12), f"step {t} differs"


@pytest.mark.parametrize("anchors", [3, None])
def test_rows_from_the_file_equal_rows_in_memory(anchors, tmp_path, monkeypatch):
    problem, config = Polynomial(3), optimizer_config()
    warm = warm_state(problem, problem.start, config)
    states = torch_states(problem, warm, [[0], [1], [2], [0], [1], [2], [0]], config)
    units, columns = torch.tensor([2, 0, 2]), slice(1, 4)
    with expansion(problem, states, config, tmp_path, anchors=anchors) as about:
        in_memory = [about.table.at(t) for t in range(7)]
        monkeypatch.setattr("trainorder.expansion.gradient_table.HELD_NUMBERS", 0)
        for t, expected in enumerate(in_memory):
            assert torch.equal(about.table.at(t), expected), f"step {t} differs"
            assert torch.equal(about.table.rows(t, units), expected[units]), f"step {t} differs"
            block = about.table.rows(t, units, columns)
            assert torch.equal(block, expected[units][:, columns]), f"a block of step {t} differs"


def test_the_gradient_of_a_step_is_the_mean_over_its_units(tmp_path):
    problem, config = Polynomial(4), optimizer_config()
    warm = warm_state(problem, problem.start, config)
    states = torch_states(problem, warm, [[0, 1], [2, 3]], config)
    with expansion(problem, states, config, tmp_path) as about:
        units = np.array([[0, 1], [3, 3], [2, 0]])
        gradients = about.gradients(1, torch.from_numpy(units))
        for row, pair in zip(gradients, units, strict=True):
            expected = about.table.at(1)[torch.from_numpy(pair)].mean(0)
            assert torch.allclose(row, expected, rtol=1e-12), "the units are not averaged"

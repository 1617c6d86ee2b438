"""Trainer states: the last whole one of the same run is resumed from, and no other."""

import os

import numpy as np
import pytest
import torch

from trainorder.errors import UserError
from trainorder.training.checkpoints import Checkpoints, read_state, write_state
from trainorder.training.optimizer import State

KEY = "feedc0ffee123456"


def state(step):
    numbers = torch.arange(5, dtype=torch.float32) + step
    return State(numbers, numbers * 2, numbers**2, step)


def same(one, other):
    tensors = [(one.parameters, other.parameters), (one.exp_avg, other.exp_avg)]
    tensors.append((one.exp_avg_sq, other.exp_avg_sq))
    return one.step == other.step and all(torch.equal(a, b) for a, b in tensors)


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path, KEY, every=2)


def files(checkpoints):
    return sorted(path.name for path in checkpoints.folder.iterdir())


def test_there_is_none_at_first(checkpoints):
    assert checkpoints.latest(2) is None


def test_the_last_state_comes_back_with_its_records(checkpoints):
    checkpoints.save(state(2), losses=np.array([1.5, 2.5]))
    checkpoints.save(state(4), losses=np.array([1.5, 2.5, 3.5, 4.5]))
    found, records = checkpoints.latest(2)
    assert same(found, state(4))
    assert records["losses"].tolist() == [1.5, 2.5, 3.5, 4.5]


def test_only_the_last_state_is_kept(checkpoints):
    for step in (2, 4, 10, 100):
        checkpoints.save(state(step))
    assert files(checkpoints) == ["00000100.h5"]


def test_all_states_are_kept_where_a_path_is_made_of_them(tmp_path):
    checkpoints = Checkpoints(tmp_path, KEY, every=1, keep_all=True)
    for step in (3, 4, 5):
        checkpoints.save(state(step))
    assert all(same(checkpoints.load(step)[0], state(step)) for step in (3, 4, 5))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_state_counts_as_absent(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path, KEY, every=1, keep_all=True)
    checkpoints.save(state(3))
    assert checkpoints.latest(2) is not None
    checkpoints.save(state(4))
    damage(checkpoints.folder / "00000004.h5")
    assert same(checkpoints.latest(2)[0], state(3)), "a damaged state was resumed from"
    damage(checkpoints.folder / "00000003.h5")
    assert checkpoints.latest(2) is None


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.unlink()])
@pytest.mark.parametrize("step", [3, 4, 5, 6])
def test_where_all_states_are_needed_a_run_goes_on_from_before_the_first_lost_one(
    tmp_path, step, damage
):
    checkpoints = Checkpoints(tmp_path, KEY, every=1, keep_all=True)
    for kept in (3, 4, 5, 6):
        checkpoints.save(state(kept))
    damage(checkpoints.folder / f"{step:08d}.h5")
    found = checkpoints.latest(2)
    if step == 3:
        assert found is None, "the path would lack its first state"
    else:
        assert same(found[0], state(step - 1)), f"the path would lack state {step}"


def test_states_that_vanish_while_they_are_listed_count_as_none(checkpoints, monkeypatch):
    checkpoints.save(state(2))

    def cleared(folder):
        monkeypatch.undo()
        checkpoints.clear()
        return os.scandir(folder)

    monkeypatch.setattr(os, "scandir", cleared)
    assert checkpoints.latest(0) is None
    assert not checkpoints.folder.exists(), "nothing vanished while they were listed"


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.unlink()])
def test_a_state_lost_while_a_path_is_made_of_it_is_one_line_that_says_what_to_do(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path, KEY, every=1, keep_all=True)
    checkpoints.save(state(3))
    damage(checkpoints.folder / "00000003.h5")
    with pytest.raises(UserError, match=r"00000003\.h5: .*; run the same step again"):
        checkpoints.load(3)


def test_half_written_states_are_not_seen(checkpoints):
    checkpoints.save(state(2))
    (checkpoints.folder / ".00000004.h5.123.partial").write_bytes(b"half")
    assert checkpoints.latest(2)[0].step == 2


def test_a_run_determined_by_something_else_has_none_of_these_states(checkpoints, tmp_path):
    checkpoints.save(state(2))
    assert Checkpoints(tmp_path, "0123456789abcdef", every=2).latest(2) is None


def test_a_state_moved_in_from_another_run_is_not_resumed_from(checkpoints, tmp_path):
    other = Checkpoints(tmp_path, "0123456789abcdef", every=2)
    other.save(state(2))
    other.folder.rename(checkpoints.folder)
    assert checkpoints.latest(2) is None


def test_clearing_removes_the_states_of_this_run_alone(checkpoints, tmp_path):
    other = Checkpoints(tmp_path, "0123456789abcdef", every=2)
    other.save(state(2))
    checkpoints.save(state(2))
    checkpoints.clear()
    checkpoints.clear()
    assert checkpoints.latest(2) is None
    assert other.latest(2) is not None


def test_a_published_state_comes_back(tmp_path):
    write_state(tmp_path / "warm.h5", KEY, state(7))
    assert same(read_state(tmp_path / "warm.h5", KEY, "warm"), state(7))


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.unlink()])
def test_a_damaged_published_state_names_the_file_and_the_rule(tmp_path, damage):
    path = tmp_path / "warm.h5"
    write_state(path, KEY, state(7))
    damage(path)
    with pytest.raises(UserError) as caught:
        read_state(path, KEY, "warm")
    assert str(path) in str(caught.value)
    assert "rerun rule `warm`" in str(caught.value)

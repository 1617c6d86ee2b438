"""Training checkpoints: a job resumes from the last readable state with the same key."""

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


def test_an_empty_folder_has_no_state(checkpoints):
    assert checkpoints.latest(2) is None


def test_latest_returns_the_last_state_and_its_records(checkpoints):
    checkpoints.save(state(2), losses=np.array([1.5, 2.5]))
    checkpoints.save(state(4), losses=np.array([1.5, 2.5, 3.5, 4.5]))
    latest, records = checkpoints.latest(2)
    assert same(latest, state(4))
    assert records["losses"].tolist() == [1.5, 2.5, 3.5, 4.5]


def test_only_the_last_state_is_kept_by_default(checkpoints):
    for step in (2, 4, 10, 100):
        checkpoints.save(state(step))
    assert files(checkpoints) == ["00000100.h5"]


def test_all_states_are_kept_with_keep_all(tmp_path):
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
    assert same(checkpoints.latest(2)[0], state(3)), "latest returned a damaged state"
    damage(checkpoints.folder / "00000003.h5")
    assert checkpoints.latest(2) is None


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.unlink()])
@pytest.mark.parametrize("step", [3, 4, 5, 6])
def test_with_keep_all_training_resumes_before_the_first_missing_state(tmp_path, step, damage):
    checkpoints = Checkpoints(tmp_path, KEY, every=1, keep_all=True)
    for saved in (3, 4, 5, 6):
        checkpoints.save(state(saved))
    damage(checkpoints.folder / f"{step:08d}.h5")
    latest = checkpoints.latest(2)
    if step == 3:
        assert latest is None, "the first state would be missing"
    else:
        assert same(latest[0], state(step - 1)), f"state {step} would be missing"


def test_states_that_are_removed_while_they_are_listed_count_as_absent(checkpoints, monkeypatch):
    checkpoints.save(state(2))

    def cleared(folder):
        monkeypatch.undo()
        checkpoints.clear()
        return os.scandir(folder)

    monkeypatch.setattr(os, "scandir", cleared)
    assert checkpoints.latest(0) is None
    assert not checkpoints.folder.exists(), "the folder was not removed during the listing"


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.unlink()])
def test_loading_a_damaged_state_raises_with_the_remedy(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path, KEY, every=1, keep_all=True)
    checkpoints.save(state(3))
    damage(checkpoints.folder / "00000003.h5")
    with pytest.raises(UserError, match=r"00000003\.h5: .*; run the job again"):
        checkpoints.load(3)


def test_partial_files_are_ignored(checkpoints):
    checkpoints.save(state(2))
    (checkpoints.folder / ".00000004.h5.123.partial").write_bytes(b"half")
    assert checkpoints.latest(2)[0].step == 2


def test_states_of_another_key_are_not_used(checkpoints, tmp_path):
    checkpoints.save(state(2))
    assert Checkpoints(tmp_path, "0123456789abcdef", every=2).latest(2) is None


def test_a_state_of_another_key_in_the_same_folder_counts_as_absent(checkpoints, tmp_path):
    other = Checkpoints(tmp_path, "0123456789abcdef", every=2)
    other.save(state(2))
    other.folder.rename(checkpoints.folder)
    assert checkpoints.latest(2) is None


def test_clear_removes_only_the_states_of_its_key(checkpoints, tmp_path):
    other = Checkpoints(tmp_path, "0123456789abcdef", every=2)
    other.save(state(2))
    checkpoints.save(state(2))
    checkpoints.clear()
    checkpoints.clear()
    assert checkpoints.latest(2) is None
    assert other.latest(2) is not None


def test_write_state_and_read_state_round_trip(tmp_path):
    write_state(tmp_path / "warm.h5", KEY, state(7))
    assert same(read_state(tmp_path / "warm.h5", KEY, "warm"), state(7))


@pytest.mark.parametrize("damage", [truncate, flip, lambda path: path.unlink()])
def test_reading_a_damaged_state_raises_with_the_file_and_the_rule(tmp_path, damage):
    path = tmp_path / "warm.h5"
    write_state(path, KEY, state(7))
    damage(path)
    with pytest.raises(UserError) as caught:
        read_state(path, KEY, "warm")
    assert str(path) in str(caught.value)
    assert "rerun rule `warm`" in str(caught.value)

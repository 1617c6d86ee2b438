"""A record never replaces or removes the files of others, such as checkpoints of a Trainer."""

import os
import subprocess
import sys

import pytest

from recorded_runs import Run
from trainorder.errors import UserError
from trainorder.recording import RecordingCallback
from trainorder.recording.record.layout import recorded_states
from trainorder.recording.record.removal import remove_after
from trainorder.recording.record.states import published_state
from trainorder.recording.trainer_import.import_run import Given, import_trainer


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def checkpoints(make_trainer, tmp_path):
    """Return the output folder of a Trainer, with checkpoints after 2, 4 and 6 updates."""
    make_trainer(tmp_path / "run").train()
    return tmp_path / "run"


@pytest.mark.parametrize("place", ["run", "link", "run/record", ".", "run/../run/checkpoint-2"])
def test_an_import_into_the_run_or_around_it_raises_and_changes_nothing(checkpoints, place):
    root, before = checkpoints.parent, content(checkpoints)
    (root / "link").symlink_to(checkpoints)
    for run, record in ((checkpoints, root / place), (root / "link", root / place)):
        with pytest.raises(UserError, match="choose another folder for the record"):
            import_trainer(run, record, Given())
    assert content(checkpoints) == before, "files of the run are replaced"


def test_the_import_command_of_a_run_into_itself_is_one_line(checkpoints):
    command = [sys.executable, "-m", "trainorder.recording", "import", checkpoints, checkpoints]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_trainer_does_not_record_into_its_own_output_folder(checkpoints, make_trainer):
    before = content(checkpoints)
    for folder in (checkpoints, os.path.relpath(checkpoints)):
        callback = RecordingCallback(folder)
        with pytest.raises(UserError, match=r"is the output_dir of the Trainer"):
            make_trainer(checkpoints, callback).train()
    assert content(checkpoints) == before


@pytest.mark.parametrize("is_record", [False, True], ids=["no record", "a record"])
def test_a_recording_into_a_folder_with_checkpoints_of_others_changes_nothing(
    checkpoints, is_record
):
    if is_record:  # as a Trainer that saves into the folder of a record later
        Run().recorder(checkpoints.parent / "other").attach().detach()
        (checkpoints.parent / "other/record.json").rename(checkpoints / "record.json")
    before = content(checkpoints)
    with (
        pytest.raises(UserError, match=r"checkpoint-2: .* choose another folder"),
        Run().recorder(checkpoints),
    ):
        pass
    assert content(checkpoints) == before


def test_states_without_the_settings_of_a_record_are_not_replaced(tmp_path):
    run = Run()
    with run.recorder(tmp_path) as record:
        run.train(record)
    (tmp_path / "record.json").unlink()
    before = content(tmp_path)
    with pytest.raises(UserError, match=r"is not a record; choose"), Run().recorder(tmp_path):
        pass
    assert content(tmp_path) == before


def test_only_states_of_a_record_are_replaced_or_removed(checkpoints):
    before = content(checkpoints)
    (checkpoints / "checkpoint-2/optimizer.safetensors").touch()  # a callback may add it
    assert recorded_states(checkpoints) == []
    remove_after(checkpoints, 0)
    with (
        pytest.raises(UserError, match="checkpoint that no recording wrote"),
        published_state(checkpoints, 2),
    ):
        pass
    assert before.items() <= content(checkpoints).items()

"""`trainorder init` writes a project, never over other files, and checks a record."""

import re
from dataclasses import replace

import numpy as np
import pytest
import yaml

from recorded_runs import LENGTH, VOCABULARY, Run, tokens
from trainorder.command_line.project import write_project
from trainorder.config.loading import load_config
from trainorder.config.study_config import parse
from trainorder.errors import UserError
from trainorder.recording.record.heldout import publish_heldout
from trainorder.recording.record.layout import recorded_steps
from trainorder.recording.record.steps import read_step, write_step
from trainorder.recording.study_config.completion import completed


def test_a_project_is_a_configuration_a_snakefile_and_a_profile(tmp_path):
    written = write_project(tmp_path / "a" / "b")
    names = {"Snakefile", "config.yaml", "profiles/default/config.yaml"}
    assert set(written) == {f"wrote {tmp_path / 'a/b' / name}" for name in names}
    assert load_config(tmp_path / "a/b/config.yaml") == {"study": "mine"}


@pytest.mark.parametrize("name", ["Snakefile", "config.yaml", "profiles/default/config.yaml"])
def test_no_file_is_overwritten(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=f"{name}: exists already"):
        write_project(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [tmp_path / name], "a part of the project was written"
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_that_cannot_be_created_is_one_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/project/Snakefile: cannot be written"):
        write_project(tmp_path / "file" / "project")


def test_a_folder_that_is_no_record_is_one_error(tmp_path):
    with pytest.raises(UserError, match="is not a record"):
        write_project(tmp_path / "mine", str(tmp_path / "elsewhere"))
    assert not (tmp_path / "mine").exists()


def with_a_token(token):
    def change(folder):
        step = read_step(folder, 1)
        step.batches[0][0, 3] = token
        write_step(folder, 1, step)

    return change


def with_a_masked_sequence(folder):
    step = read_step(folder, 1)
    step.batches[0][0] = ~step.batches[0][0]
    write_step(folder, 1, step)


def with_uneven_weights(folder):
    for number in recorded_steps(folder):
        step = read_step(folder, number)
        step.batches[0][0, :4] = ~step.batches[0][0, :4]
        write_step(folder, number, replace(step, loss_scale=1.0))


def with_heldout(name, token):
    def change(folder):
        publish_heldout(folder, {name: np.full((2, LENGTH), token, np.int32)})

    return change


UNUSABLE = {
    "a token that the model does not have": (with_a_token(VOCABULARY), "steps: a token is 19, but"),
    "a masked one": (with_a_token(~VOCABULARY), "steps: a token is 19, but the model has"),
    "a sequence without a target": (with_a_masked_sequence, "steps: a sequence has no target"),
    "uneven weights": (with_uneven_weights, "steps: sequences have 4 to 7 targets"),
    "a reserved domain": (with_heldout("mixed", 1), "heldout.*: `mixed` is the label of"),
    "held-out tokens of others": (with_heldout("a", VOCABULARY), "heldout.*: a token is 19, but"),
    "held-out data without targets": (with_heldout("a", ~1), "heldout.*: a sequence has no target"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_record_that_no_study_can_use_is_one_error_and_no_project(tmp_path, case):
    """Such records come from earlier versions, or were written by hand."""
    change, message = UNUSABLE[case]
    run = Run()
    with run.recorder(tmp_path / "record", heldout=tokens()[0, 0]) as record:
        run.train(record)
    change(tmp_path / "record")
    with pytest.raises(UserError, match=message) as error:
        write_project(tmp_path / "mine", str(tmp_path / "record"))
    assert "\n" not in str(error.value)
    assert not (tmp_path / "mine").exists()


def test_the_record_is_named_relative_to_the_project(tmp_path, monkeypatch):
    """Paths in a configuration are relative to the folder in which the study runs."""
    monkeypatch.chdir(tmp_path)
    run, name = Run(), "my record, of: #1"
    with run.recorder(name, heldout=tokens(9)[-2:].flatten(0, 2)) as record:
        run.train(record)
    first, *_ = write_project(tmp_path / "a" / "mine", name)
    assert first.startswith(f"{name}: updates 0 to "), "init does not say what the record has"
    assert "2 held-out sequences per domain" in first
    config = yaml.safe_load((tmp_path / "a/mine/config.yaml").read_text())
    assert config == {"study": "mine", "run": {"recording": "../../my record, of: #1"}}


@pytest.mark.parametrize(("count", "told"), [(31, False), (32, True)])
def test_a_record_with_many_held_out_sequences_makes_a_long_study(tmp_path, count, told):
    """A loss costs a third of a gradient, so they cost (count / 3) / 42 of training the window."""
    run = Run()
    with run.recorder(tmp_path / "record", heldout=tokens(6).flatten(0, 2)[:count]) as record:
        run.train(record)
    lines = write_project(tmp_path / "mine", str(tmp_path / "record"))
    about = [line for line in lines if "write_heldout" in line]
    assert bool(about) is told
    if told:
        assert "32 held-out sequences costs 0.25 of training it" in about[0]


def test_the_keys_of_the_shorter_study_are_valid(tmp_path, monkeypatch):
    """They are comments, which a user enables."""
    config, run = load_config("config.yaml"), Run()
    monkeypatch.chdir(tmp_path)
    with run.recorder("record", heldout=tokens(9)[-2:].flatten(0, 2)) as record:
        run.train(record)
    write_project(tmp_path / "mine", "record")
    monkeypatch.chdir(tmp_path / "mine")
    text = (tmp_path / "mine/config.yaml").read_text()
    enabled = re.sub(r"^# (?=(estimators|curriculum|memorization): )", "", text, flags=re.M)
    config = completed({**config, **yaml.safe_load(enabled)})
    assert [entry["method"] for entry in config["estimators"]] == ["constant", "corrected"]
    assert config["curriculum"] is config["memorization"] is None
    parse(config)

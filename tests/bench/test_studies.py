"""Runs of a study with Snakemake, and their failures."""

import os
import subprocess
import sys

import pytest
import yaml

from bench.stale_lock import snakemake_processes, unlocked
from bench.studies import Study, run, seeded
from trainorder.errors import UserError


def test_the_layer_overrides_the_preset_and_the_preset_the_default(top):
    study = Study("mine", "smoke", {"optimizer": {"learning_rate": 0.5}})
    assert [str(path) for path in study.write()] == [
        "presets/smoke.yaml", "results/bench/configs/mine.yaml"
    ]  # fmt: skip
    config = study.config()
    assert config["study"] == "mine"
    assert config["optimizer"]["learning_rate"] == 0.5
    assert config["optimizer"]["linear_warmup_steps"] == 4, "the value of the preset is lost"
    assert config["optimizer"]["beta2"] == 0.95, "the default value is lost"


def test_small_rates_are_written_as_numbers_that_yaml_reads_back(top):
    study = Study("mine", layer={"optimizer": {"learning_rate": 6.2e-05}})
    study.write()
    assert yaml.safe_load(study.file.read_text())["optimizer"]["learning_rate"] == 6.2e-05


def test_the_key_of_sections_changes_with_them_alone(top):
    one, other, sections = Study("a"), Study("b", layer={"trajectories": 0}), ("model", "seeds")
    assert one.key([], sections) == other.key([], sections)
    assert one.key([], sections) != Study("a", layer=seeded(1)).key([], sections)
    assert one.key([]) != Study("a", layer={"trajectories": 0}).key([])


def test_the_key_changes_with_the_code(top):
    assert Study("a").key(["warm"]) != Study("a").key(["truth"])


@pytest.fixture
def snakemake(top, monkeypatch):
    """Replace Snakemake by a function that prints `fake.text` and returns `fake.status`."""

    class Fake:
        text, status, command = "", 0, ()

    fake = Fake()

    def run_fake(command, output):
        fake.command = command
        output.write(fake.text)
        output.flush()
        return fake.status

    monkeypatch.setattr("bench.studies.run_to_end", run_fake)
    monkeypatch.setattr("bench.studies.unlocked", lambda command: False)
    return fake


def test_targets_are_relative_to_the_results_unless_they_are_rules(snakemake):
    run(Study("mine"), 2, ["store/reference/path.h5", "figures"])
    command = [str(part) for part in snakemake.command]
    assert command[:3] == [sys.executable, "-m", "snakemake"]
    assert command[3:] == [
        "results/mine/store/reference/path.h5", "figures", "--cores", "2",
        "--configfile", "results/bench/configs/mine.yaml",
    ]  # fmt: skip


def test_all_cores_are_used_by_default(snakemake):
    run(Study("mine"))
    assert str(os.cpu_count()) in snakemake.command


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Building\nerror: corpus: no such file\nerror: other\n", "corpus: no such file"),
        ("LockException:\nError: Directory cannot be locked.", "another Snakemake runs in this"),
        ("Terminating processes on user request", "run the command again"),
        ("boom", "Snakemake failed"),
    ],
)
def test_a_failure_raises_the_error_line_of_the_job(snakemake, text, line):
    snakemake.text, snakemake.status = text, 1
    with pytest.raises(UserError, match=line) as raised:
        run(Study("mine"), 1)
    assert "results/bench/logs/mine.log" in str(raised.value)


def test_a_study_without_results_raises_one_line(top):
    with pytest.raises(UserError, match=r"results/mine/validation.json: no such file"):
        Study("mine").read()


def test_a_lock_of_a_killed_snakemake_is_removed_and_the_study_runs(snakemake, monkeypatch, capsys):
    def unlocked(command):
        snakemake.text, snakemake.status = "done", 0
        return True

    monkeypatch.setattr("bench.studies.unlocked", unlocked)
    snakemake.text, snakemake.status = "LockException", 1
    run(Study("mine"), 1)
    assert "removed the lock" in capsys.readouterr().out


@pytest.fixture
def elsewhere(tmp_path):
    """Return a function that starts a process in a folder; they end with the test."""
    running = []

    def start(folder, *words):
        sleep = [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)", *words]
        running.append(subprocess.Popen(sleep, cwd=folder, stdout=subprocess.PIPE))
        running[-1].stdout.readline()
        return running[-1].pid

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_only_snakemake_and_its_jobs_in_the_same_folder_keep_a_lock(tmp_path, elsewhere):
    (tmp_path / "other").mkdir()
    elsewhere(tmp_path / "other", "snakemake")
    elsewhere(tmp_path, "results/snakemake-notes.txt")
    assert snakemake_processes(tmp_path) == []
    kept = [
        elsewhere(tmp_path, "snakemake", "--cores"),
        elsewhere(tmp_path, f"{tmp_path}/.snakemake/scripts/tmp1.truth.py"),
    ]
    assert snakemake_processes(tmp_path) == kept


def test_nothing_is_unlocked_while_snakemake_works_in_the_folder(tmp_path, elsewhere, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert unlocked([sys.executable, "-c", "", "snakemake"])
    assert not unlocked([sys.executable, "-c", "raise SystemExit(1)", "snakemake"])
    elsewhere(tmp_path, "snakemake")
    assert not unlocked([sys.executable, "-c", "", "snakemake"])

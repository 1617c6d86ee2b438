"""Runs of a study with Snakemake, and their failures."""

import os
import subprocess
import sys

import pytest
import yaml

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

    def run_fake(command, stdout, **_):
        fake.command = command
        stdout.write(fake.text)
        stdout.flush()
        return subprocess.CompletedProcess(command, fake.status)

    monkeypatch.setattr("bench.studies.subprocess.run", run_fake)
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
        ("LockException:\nError: Directory cannot be locked.", "snakemake --unlock"),
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

"""The workflow runs in any folder: by `-s`, with `-d`, as a module, by `include`, and on copies."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workflow_tree import RESULTS

ROOT = Path(__file__).parents[2]
SMALL = """\
study: small
window: {warmup_steps: 4, units: 6}
estimators: [{method: constant, path: reference}]
curriculum: null
memorization: null
orders: {calibration: 4, random: 2, fit: 0, block_sizes: []}
shards: {curvature: 2}
"""
MODULE = f"""\
configfile: "small.yaml"
module trainorder:
    snakefile: "{ROOT}/Snakefile"
    config: config
use rule * from trainorder
import os, sys
print("source", os.environ["TRAINORDER_SOURCE"], file=sys.stderr)
print("keys", *config, file=sys.stderr)
"""
BARE = f"""\
module trainorder:
    snakefile: "{ROOT}/Snakefile"
use rule * from trainorder
"""
REPOSITORY = "https://github.com/trainorder/trainorder"
DEPLOYED = """\
configfile: "config/config.yaml"
module trainorder:
    snakefile: github("trainorder/trainorder", path="workflow/Snakefile", commit="{commit}")
    config: config
use rule * from trainorder
"""
INCLUDE = f"""\
configfile: "small.yaml"
include: "{ROOT}/Snakefile"
"""


def planned(folder, *arguments, cwd=None):
    """Return the output and the number of jobs of each rule of a dry-run in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", *arguments],
        cwd=cwd or folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    table = output[output.rindex("Job stats:") :].split("\n\n")[0]
    rows = [line.split() for line in table.splitlines()[3:]]
    return output, {rule: int(count) for rule, count in rows}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "module.smk").write_text(MODULE)
    (tmp_path / "include.smk").write_text(INCLUDE)
    (tmp_path / "bare.smk").write_text(BARE)
    np.save(tmp_path / "mine.npy", np.arange(6)[::-1])
    return tmp_path


@pytest.mark.slow
def test_the_defaults_are_merged_and_what_if_works_in_another_folder(folder):
    """All ways to start it plan the same jobs, whose outputs are in the folder."""
    mine = ("what_if", "--config", "orders=mine.npy")
    of_file = ("--configfile", str(folder / "small.yaml"))
    (folder / "config.yaml").write_text("threads: 1\n")  # a part of the keys, as anywhere
    jobs = [
        planned(folder, *mine, "-s", f"{ROOT}/Snakefile", *of_file)[1],
        planned(folder, *mine, "-s", f"{ROOT}/workflow/Snakefile", *of_file)[1],
        planned(folder, *mine, "-s", f"{ROOT}/Snakefile", "-d", str(folder), *of_file, cwd="/")[1],
        planned(folder, *mine, "-s", "include.smk")[1],
        planned(folder, *mine, "-s", "bare.smk", *of_file)[1],
    ]
    output, of_module = planned(folder, *mine, "-s", "module.smk")
    for other in (*jobs, of_module):
        assert other == jobs[0], "another way to start it plans other jobs"
    assert jobs[0]["what_if"] == 1
    assert f"source {ROOT}" in output, "the conda environment would not find the package"
    keys = re.search("^keys (.*)$", output, re.M)[1].split()
    assert "device" not in keys, "the defaults were written into the caller's configuration"


@pytest.mark.slow
def test_the_default_target_of_a_module_is_the_study_and_of_an_include_it_is_named(folder):
    """docs/install.md says so."""
    of_module = planned(folder, "-s", "module.smk")[1]
    assert of_module["validate"] == of_module["all"] == 1
    assert planned(folder, "all", "-s", "include.smk")[1] == of_module


@pytest.mark.slow
def test_a_workflow_that_snakedeploy_deployed_runs_the_whole_study(tmp_path, monkeypatch):
    """The module names a commit of the repository on GitHub, for which git reads this clone."""
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{ROOT}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", REPOSITORY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "workflow").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(SMALL)
    (tmp_path / "workflow/Snakefile").write_text(DEPLOYED.format(commit=commit.strip()))
    _, jobs = planned(tmp_path)
    assert {"corpus", "truth", "validate", "figures"} <= set(jobs), "the default target is missing"


def test_the_conda_environment_installs_the_package_from_its_own_folder(tmp_path):
    """The script of the environment runs in the folder that Snakemake was started in."""
    stub = tmp_path / "python"
    stub.write_text('#!/bin/sh\necho "$@"\n')
    stub.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TRAINORDER_SOURCE": str(ROOT)}
    script = ROOT / "envs/study.post-deploy.sh"
    done = subprocess.run(
        ["bash", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-2:] == ["--editable", str(ROOT)]


@pytest.fixture
def elsewhere(finished, tmp_path):
    """Return a folder with only the results of the finished study, whose files are all new."""
    results = tmp_path / RESULTS
    results.parent.mkdir()
    subprocess.run(["cp", "-r", finished.results, results], check=True)
    for number, path in enumerate(sorted(results.rglob("*"), reverse=True)):
        os.utime(path, (10**9 + number, 10**9 + number))  # inputs are newer than outputs
    np.save(tmp_path / "mine.npy", np.arange(6)[::-1])
    return tmp_path


@pytest.mark.study
def test_results_that_were_copied_without_their_times_are_kept_by_touch(finished, elsewhere):
    """docs/share.md says so. After it, what-ifs run on the copy, in a folder without a clone."""
    clone = finished.root
    start = ("-s", f"{clone}/Snakefile", "--configfile", f"{clone}/presets/smoke.yaml")

    def snakemake(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments, "--cores", "1", *start],
            cwd=elsewhere, env=finished.environment(), capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    touched = snakemake("--touch")
    assert touched.returncode == 0, touched.stderr
    again = snakemake("--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr, again.stderr
    done = snakemake("what_if", "--config", "orders=mine.npy")
    assert done.returncode == 0, done.stderr
    assert "1 of 1 steps (100%) done" in done.stderr, "another job ran"
    assert (elsewhere / RESULTS / "what_if.csv").exists()

"""A wheel contains the whole workflow, which runs from it as from a clone."""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from workflow_tree import RESULTS, ROOT, tracked_files, work_tree

WORKFLOW = ("envs", "presets", "profiles", "report", "rules", "schemas", "scripts")
BUILD = """\
import os, sys, tarfile
from setuptools import build_meta
target = sys.argv[1]  # setuptools changes sys.argv
archive = os.path.join(target, build_meta.build_sdist(target))
safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # not before Python 3.11.4
tarfile.open(archive).extractall(target, **safely)
os.chdir(archive.removesuffix(".tar.gz"))
build_meta.build_wheel(target)
"""
HASHES = """\
from trainorder.workflow.code_hash import code_hash
from trainorder.workflow.source import source_folder
for script in sorted((source_folder() / "scripts").glob("*.py")):
    print(script.name, code_hash(script))
"""

pytestmark = pytest.mark.slow


@dataclass
class Installed:
    """An installed wheel.

    Attributes:
        site: the folder of packages that it is unpacked into.
        source: the files of the workflow.

    """

    site: Path

    @property
    def source(self):
        return self.site / "trainorder/workflow_files"

    def python(self, *arguments, folder):
        """Run Python with the wheel and without the clone; return its output."""
        environment = {**os.environ, "PYTHONPATH": str(self.site)}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder, env=environment, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def command(self, *arguments, folder):
        """Run the command `trainorder`."""
        return self.python("-m", "trainorder.command_line", *arguments, folder=folder)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a wheel that is built from a source archive of this tree, as an index offers it."""
    top = tmp_path_factory.mktemp("wheel")
    tree, built = work_tree(top / "tree"), top / "built"
    built.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(built)], cwd=tree.root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    [wheel] = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(top / "site")
    return Installed(top / "site")


def test_it_has_every_file_of_the_workflow_and_no_other(installed):
    """Those are the files by which a clone runs: schemas, presets, scripts, texts of the report."""
    names = [name for name in tracked_files() if name.split("/")[0] in WORKFLOW]
    names += ["Snakefile", "config.yaml"]
    files = [path for path in installed.source.rglob("*") if path.is_file()]
    assert sorted(names) == sorted(str(path.relative_to(installed.source)) for path in files)
    for name in names:
        same = (installed.source / name).read_bytes() == (ROOT / name).read_bytes()
        assert same, f"{name} differs from the clone"


def test_it_has_every_file_of_the_library(installed):
    names = [name.removeprefix("lib/") for name in tracked_files() if name.startswith("lib/")]
    missing = [name for name in names if not (installed.site / name).is_file()]
    assert not missing, f"not in the wheel: {missing}; add them to package-data in pyproject.toml"


def test_code_hashes_are_those_of_a_clone(installed, tmp_path):
    """Else a study of a clone would be computed again with the wheel of the same code."""
    hashes = [
        Installed(site).python("-c", HASHES, folder=tmp_path)
        for site in (installed.site, ROOT / "lib")
    ]
    assert hashes[0].count("\n") > 30
    assert hashes[0] == hashes[1]


def jobs(output):
    """Return the number of jobs of each rule in the output of a dry-run."""
    table = output[output.rindex("Job stats:") :].split("\n\n")[0]
    return dict(line.split() for line in table.splitlines()[3:])


@pytest.fixture(scope="module")
def project(installed, tmp_path_factory):
    """Return a new project of the installed package."""
    folder = tmp_path_factory.mktemp("project")
    installed.command("init", folder=folder)
    return folder


def dry_run(site, *arguments, folder):
    return jobs(
        site.python("-m", "snakemake", "--dry-run", "--cores", "2", *arguments, folder=folder)
    )


def test_a_project_plans_the_study_that_a_clone_plans(installed, project, tmp_path):
    """By plain Snakemake, by `trainorder run`, and with `-s` and `-d` from other folders."""
    clone = dry_run(Installed(ROOT / "lib"), "-s", f"{ROOT}/Snakefile", folder=tmp_path)
    assert len(clone) > 30
    started = {
        "snakemake in the project": dry_run(installed, folder=project),
        "trainorder run": jobs(installed.command("run", "--", "--dry-run", folder=project)),
        "-s and -d, from another folder": dry_run(
            installed, "-s", f"{project}/Snakefile", "-d", str(project), folder="/"
        ),
        "-s of the package": dry_run(
            installed, "-s", f"{installed.source}/Snakefile", folder=tmp_path
        ),
    }
    for way, planned in started.items():
        assert planned == clone, f"{way}: other jobs than in a clone"


def test_the_study_that_tests_an_installation_is_short(installed, project):
    """A job takes at least some seconds to start, so their number decides the time."""
    planned = jobs(installed.command("run", "--smoke", "--", "--dry-run", folder=project))
    assert int(planned["total"]) <= 35, "`trainorder run --smoke` would take longer than promised"
    assert {"truth", "validate", "curriculum", "memorization", "explorer"} <= planned.keys()


def test_the_replicates_of_a_preset_are_modules_of_the_module(installed, project, tmp_path):
    preset = ("--configfile", f"{installed.source}/presets/full.yaml")
    clone = dry_run(Installed(ROOT / "lib"), "-s", f"{ROOT}/Snakefile", *preset, folder=tmp_path)
    assert "replicates" in clone
    assert dry_run(installed, *preset, folder=project) == clone


def test_a_conda_environment_gets_a_copy_of_the_installed_package(installed, tmp_path):
    """There is no clone to install from, and its interpreter may be another one."""
    site, target = tmp_path / "site", tmp_path / "target"
    shutil.copytree(installed.site, site)
    target.mkdir()
    stub = tmp_path / "python"
    stub.write_text(f"#!/bin/sh\necho {target}\n")
    stub.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "TRAINORDER_SOURCE": f"{site}/trainorder/workflow_files",
    }
    subprocess.run(["bash", ROOT / "envs/study.post-deploy.sh"], env=environment, check=True)
    copied = Installed(target)
    version = "import trainorder, importlib.metadata as m; print(m.version('trainorder'))"
    assert copied.python("-c", version, folder=tmp_path).strip() == "0.2.0"
    assert (copied.source / "Snakefile").is_file()


@pytest.mark.study
def test_it_continues_a_study_of_a_clone(installed, project, finished):
    """Nothing runs again, the command prints the summary, and a lost report is written again."""
    shutil.rmtree(project / ".snakemake", ignore_errors=True)  # of the dry-runs above
    for name in (RESULTS, Path(".snakemake")):
        (project / name).parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", finished.root / name, project / name], check=True)
    (project / "resources").symlink_to(finished.root / "resources")
    preset = ("--", "--configfile", f"{installed.source}/presets/smoke.yaml")
    output = installed.command("run", *preset, folder=project)
    assert "Nothing to be done" in output, output
    assert "results/smoke/report.html" in output
    (project / RESULTS / "report.html").unlink()
    installed.command("report", *preset, folder=project)
    assert (project / RESULTS / "report.html").is_file()

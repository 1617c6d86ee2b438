"""The linters find nothing, and files that must agree with each other do."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
LIBRARY = sorted((ROOT / "lib").rglob("*.py"))
ENTRY_POINTS = {  # the modules whose purpose is to write to the terminal
    "snakemake_logger_plugin_stages/__init__.py",
    "trainorder/command_line/main.py",
    "trainorder/recording/__main__.py",
    "trainorder/workflow/job.py",
    "trainorder/workflow/make_study.py",
    "trainorder/workflow/summary.py",
}
OLDEST_RELEASES = ("3.11.0", "3.12.0", "3.13.0")  # of each Python that requirements.lock is for
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def run(*command):
    """Run a tool of this environment in the top folder of the repository."""
    environment_bin = Path(sys.executable).parent
    done = subprocess.run(
        [environment_bin / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"


def test_ruff_finds_nothing():
    run("ruff", "check", ".")


def test_python_is_formatted():
    run("ruff", "format", "--check", ".")


def test_types_are_sound():
    run("mypy")


def test_imports_follow_the_layers_of_the_package():
    run("lint-imports")


def test_rules_are_formatted():
    run("snakefmt", "--check", "Snakefile", "workflow", "rules")


def test_snakemake_finds_nothing_to_lint():
    run("snakemake", "--lint")


def canonical(name):
    """Return the normalized name of a package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines):
    """Return the versions of `name==version` lines; fail on any other line."""
    versions = {}
    for line in lines:
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.]+)", line)
        assert match, f"not an exact pin: {line}"
        assert canonical(match[1]) not in versions, f"duplicate pin: {line}"
        versions[canonical(match[1])] = match[2]
    return versions


def lock():
    """Return the pinned versions of requirements.lock."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return pins(line for line in lines if line and not line.startswith("#"))


def direct():
    """Return the direct dependencies by group; the group of the library itself is ``."""
    groups = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    return {group: [Requirement(text) for text in texts] for group, texts in groups.items()}


def test_every_direct_dependency_is_locked_to_a_version_it_allows():
    locked = lock()
    for requirements in direct().values():
        for requirement in requirements:
            name = canonical(requirement.name)
            assert name in locked, f"{name} is missing in requirements.lock"
            assert requirement.specifier.contains(locked[name]), f"{requirement}: {locked[name]}"


def locked_metadata():
    """Return the metadata of the locked packages that are installed in their locked version."""
    installed = {}
    for name, version in sorted(lock().items()):
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if distribution.version.partition("+")[0] == version:
            installed[name] = distribution.metadata
    return installed


@pytest.mark.parametrize("python", OLDEST_RELEASES)
def test_the_lock_contains_all_dependencies_of_its_packages(python):
    locked = lock()
    environment = {
        "extra": "",
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "implementation_version": python,
    }
    for name, metadata in locked_metadata().items():
        if name == "torch":  # builds differ in their dependencies
            continue
        for requirement in map(Requirement, metadata.get_all("Requires-Dist") or []):
            if requirement.marker is None or requirement.marker.evaluate(environment):
                needed = canonical(requirement.name)
                assert needed in locked, (
                    f"{name} needs {needed} on Python {python}; add it to requirements.lock"
                )
                assert requirement.specifier.contains(locked[needed], prereleases=True), (
                    f"{name} needs {requirement}; requirements.lock has {locked[needed]}"
                )


@pytest.mark.parametrize("python", OLDEST_RELEASES)
def test_every_locked_package_allows_the_oldest_release_of_each_python(python):
    """Debian 12 has Python 3.11.2, and a package may need a later release of 3.11."""
    installed = locked_metadata()
    assert len(installed) > len(lock()) / 2, "too few locked packages are installed to check"
    for name, metadata in installed.items():
        allowed = SpecifierSet(metadata["Requires-Python"] or "")
        assert allowed.contains(python), (
            f"{name} {metadata['Version']} needs Python {allowed}, so pip cannot install "
            f"requirements.lock on {python}; pin an older version"
        )


def test_continuous_integration_runs_on_each_python_of_the_lock():
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    tested = workflow["jobs"]["check"]["strategy"]["matrix"]["python"]
    assert tested == [python.rpartition(".")[0] for python in OLDEST_RELEASES]


def conda_environment(path):
    """Return the conda packages and the pip requirements of an environment file."""
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    [section] = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    return [entry for entry in dependencies if isinstance(entry, str)], section


def test_the_conda_environment_of_jobs_has_the_versions_of_the_lock():
    locked = lock()
    _, section = conda_environment(ROOT / "envs/study.yaml")
    runtime = {canonical(requirement.name) for requirement in direct()[""]}
    pinned = pins(section)
    assert set(pinned) == runtime | {"setuptools"}, "it differs from pyproject's dependencies"
    assert pinned == {name: locked[name] for name in pinned}, "other versions"


@pytest.mark.parametrize("name", ["environment.yml", "envs/study.yaml"])
def test_conda_installs_only_python_and_pip(name):
    """Every other package has the version of the lock, which channels of conda may lack."""
    conda, _ = conda_environment(ROOT / name)
    assert [re.match(r"[\w-]+", entry)[0] for entry in conda] == ["python", "pip"]
    allowed = SpecifierSet(conda[0].removeprefix("python "))
    assert all(allowed.contains(python) for python in OLDEST_RELEASES)


def test_the_conda_environment_of_users_installs_the_lock_and_the_clone():
    """Conda runs pip in the folder of the file, so its paths are relative to the clone."""
    _, section = conda_environment(ROOT / "environment.yml")
    [requirements, package] = [entry.split() for entry in section]
    assert requirements == ["--requirement", "requirements.lock"]
    assert package == ["--editable", "."]


def test_the_page_on_dependencies_lists_exactly_the_direct_ones():
    page = (ROOT / "docs" / "dependencies.md").read_text()
    listed = re.findall(r"^\| `([^`]+)` \|", page, re.M)
    named = [requirement.name for group in direct().values() for requirement in group]
    assert sorted(listed) == sorted(named)


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    package = (ROOT / "lib" / "trainorder" / "__init__.py").read_text()
    assert str(citation["version"]) == PROJECT["version"]
    assert f'__version__ = "{PROJECT["version"]}"' in package


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT / "lib")))
def test_every_module_has_a_docstring(path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path}: no docstring"


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT / "lib")))
def test_only_entry_points_print(path):
    if path.relative_to(ROOT / "lib").as_posix() in ENTRY_POINTS:
        return
    calls = [
        node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    ]
    names = [call.id for call in calls if isinstance(call, ast.Name)]
    assert "print" not in names, f"{path}: the library must not print; return the text instead"


def test_no_module_of_the_library_imports_snakemake():
    for path in LIBRARY:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "snakemake" for name in names), path

"""The instructions of the container file agree with the repository."""

import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TARGETS = re.findall(r"^([\w./$()-]+):", (ROOT / "Makefile").read_text(), re.M)


def instructions():
    """Return the instructions of the container file and what follows each, with lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(), flags=re.M)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line]


def values(keyword):
    """Return what follows each instruction of a kind."""
    return [value for name, value in instructions() if name == keyword]


def ignored():
    """Return the patterns of files that are not sent to the build."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_every_copied_file_exists_and_is_sent_to_the_build():
    for value in values("COPY"):
        *sources, _ = value.split()
        for source in sources:
            assert (ROOT / source).exists(), f"COPY {source}: no such file"
            assert source not in ignored(), f"COPY {source}: .dockerignore excludes it"


def test_what_git_ignores_is_not_sent_to_the_build():
    def plain(pattern):
        return pattern.strip("/").removeprefix("**/")

    lines = (ROOT / ".gitignore").read_text().splitlines()
    missing = {plain(line) for line in lines if line} - {plain(line) for line in ignored()}
    assert not missing, f".dockerignore lacks {missing}"


def test_every_make_command_is_a_target():
    commands = re.findall(r"^make (\S+)", "\n".join(values("RUN")), re.M)
    [command] = [json.loads(value) for value in values("CMD")]
    assert command[0] == "make"
    assert commands
    for target in [*commands, command[1]]:
        rule = target.replace(".venv", "$(ENV)")
        assert rule in TARGETS, f"make {target}: the Makefile has no such target"


def test_the_image_runs_the_smoke_study():
    [command] = [json.loads(value) for value in values("CMD")]
    [preset] = re.findall(r"--configfile (\S+)", " ".join(command))
    assert yaml.safe_load((ROOT / preset).read_text())["study"] == "smoke"


@pytest.mark.parametrize("needed", ["git", "make", "python3", "python3-venv", "chromium-driver"])
def test_the_image_has_the_programs_that_the_makefile_and_the_tests_call(needed):
    [packages] = [run for run in values("RUN") if "apt-get install" in run]
    assert needed in packages.split()


def test_the_packages_are_installed_before_the_sources_are_copied():
    """A change of the sources alone builds only the last layers again."""
    steps = [" ".join(step) for step in instructions()]
    place = steps.index("RUN make .venv/.requirements")
    assert place < steps.index("COPY . .") < steps.index("RUN make env")

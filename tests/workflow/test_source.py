"""The folder of the workflow is found in an installed package and in a clone."""

import sys

import pytest

from trainorder.command_line import main as command
from trainorder.errors import UserError
from trainorder.workflow.source import COMMANDS, source_folder, user_command
from workflow_tree import ROOT


def test_a_clone_is_its_own_source():
    assert source_folder(ROOT / "lib/trainorder") == ROOT


@pytest.fixture
def package(tmp_path):
    """Return the folder of an installed package."""
    package = tmp_path / "lib/trainorder"
    (package / "workflow_files").mkdir(parents=True)
    (package / "workflow_files/Snakefile").touch()
    (tmp_path / "Snakefile").touch()  # of someone else
    return package


def test_an_installed_package_contains_its_source(package):
    assert source_folder(package) == package / "workflow_files"


def test_a_package_without_the_workflow_is_one_error(tmp_path):
    with pytest.raises(UserError, match="install the package again"):
        source_folder(tmp_path / "lib/trainorder")


def test_messages_name_snakemake_in_a_clone_and_trainorder_elsewhere(package):
    given = ("--configfile", "mine.yaml")
    in_a_clone = {
        "snakemake plan": ("plan",),
        "snakemake predictability": ("predictability",),
        "snakemake report_page --configfile mine.yaml": ("report_page", *given),
    }
    installed = {
        "trainorder plan": ("plan",),
        "trainorder run -- predictability": ("predictability",),
        "trainorder report -- --configfile mine.yaml": ("report_page", *given),
    }
    for expected, arguments in in_a_clone.items():
        assert user_command(*arguments, package=ROOT / "lib/trainorder") == expected
    for expected, arguments in installed.items():
        assert user_command(*arguments, package=package) == expected


@pytest.mark.parametrize("target", COMMANDS)
def test_the_command_that_a_message_names_asks_snakemake_for_the_target(
    target, package, tmp_path, monkeypatch
):
    script = "import pathlib, sys; pathlib.Path('targets').write_text(' '.join(sys.argv))"
    monkeypatch.setattr(command, "SNAKEMAKE", [sys.executable, "-c", script])
    monkeypatch.chdir(tmp_path)
    assert command.main(user_command(target, package=package).split()[1:]) == 0
    assert target in (tmp_path / "targets").read_text().split()

"""The folder of the workflow is found in an installed package and in a clone."""

import pytest

from trainorder.errors import UserError
from trainorder.workflow.source import source_folder
from workflow_tree import ROOT


def test_a_clone_is_its_own_source():
    assert source_folder(ROOT / "lib/trainorder") == ROOT


def test_an_installed_package_contains_its_source(tmp_path):
    package = tmp_path / "lib/trainorder"
    (package / "workflow_files").mkdir(parents=True)
    (package / "workflow_files/Snakefile").touch()
    (tmp_path / "Snakefile").touch()  # of someone else
    assert source_folder(package) == package / "workflow_files"


def test_a_package_without_the_workflow_is_one_error(tmp_path):
    with pytest.raises(UserError, match="install the package again"):
        source_folder(tmp_path / "lib/trainorder")

"""Builds the package: a wheel contains the workflow, which lies beside the library in this folder.

Everything else about the package is in pyproject.toml. An editable install copies nothing:
`trainorder.workflow.source` finds the workflow here.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

WORKFLOW_FILES = ("Snakefile", "config.yaml")
WORKFLOW_FOLDERS = ("envs", "presets", "profiles", "report", "rules", "schemas", "scripts")
TARGET = Path("trainorder", "workflow_files")


class BuildWithWorkflow(build_py):
    """Adds the files of the workflow to the built package."""

    def run(self) -> None:
        """Build the package, then copy the workflow into it."""
        super().run()
        if not self.editable_mode:
            copy_workflow(Path(__file__).parent, Path(self.build_lib) / TARGET)


def copy_workflow(top: Path, target: Path) -> None:
    """Copy the workflow from the folder `top` to a new folder `target`."""
    shutil.rmtree(target, ignore_errors=True)  # of an earlier build
    target.mkdir(parents=True)
    for name in WORKFLOW_FILES:
        shutil.copy2(top / name, target)
    for name in WORKFLOW_FOLDERS:
        shutil.copytree(top / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": BuildWithWorkflow})

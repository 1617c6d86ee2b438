"""Where the files of the workflow are: its Snakefile, rules, scripts, presets and profiles."""

from pathlib import Path

from trainorder.errors import UserError

PACKAGE = Path(__file__).parents[1]
INSTALLED = "workflow_files"  # in the package; setup.py copies the files there
SNAKEFILE = "Snakefile"


def source_folder(package: Path = PACKAGE) -> Path:
    """Return the folder with the workflow's Snakefile.

    It is in the installed package. An editable install has it in the clone, beside `lib`.

    Args:
        package: the folder of the package `trainorder`.

    Raises:
        UserError: the package was installed without the workflow.

    """
    for folder in (package / INSTALLED, package.parents[1]):
        if (folder / SNAKEFILE).is_file():
            return folder
    raise UserError(f"{package}: the workflow's {SNAKEFILE} is missing; install the package again")

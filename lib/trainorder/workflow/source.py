"""Where the files of the workflow are, and by which command their user runs them."""

from pathlib import Path

from trainorder.errors import UserError

PACKAGE = Path(__file__).parents[1]
INSTALLED = "workflow_files"  # in the package; setup.py copies the files there
SNAKEFILE = "Snakefile"
COMMANDS = {"plan": "plan", "report_page": "report"}  # of `trainorder`, by target of Snakemake


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


def user_command(target: str, *arguments: str, package: Path = PACKAGE) -> str:
    """Return the command with which a user runs a target, for messages.

    It is `trainorder` for users of an installed package, and `snakemake` for those of a clone.

    Args:
        target: a rule without wildcards.
        arguments: further arguments of Snakemake.
        package: as in `source_folder`.

    """
    if source_folder(package).name != INSTALLED:
        return " ".join(["snakemake", target, *arguments])
    further = arguments if target in COMMANDS else (target, *arguments)
    return " ".join(
        ["trainorder", COMMANDS.get(target, "run"), *(["--"] if further else []), *further]
    )

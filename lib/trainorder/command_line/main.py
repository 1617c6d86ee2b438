"""The command `trainorder`; each of its commands but `init` runs Snakemake."""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from trainorder import __version__
from trainorder.errors import UserError
from trainorder.workflow.child_process import run_to_end
from trainorder.workflow.make_study import SHORT_OUTPUT, run_study
from trainorder.workflow.source import SNAKEFILE, source_folder

SNAKEMAKE = [sys.executable, "-m", "snakemake"]
# The defaults come first, so that no key of the project counts.
SMOKE = ("config.yaml", "presets/smoke.yaml", "presets/installation.yaml")
_ABOUT = """\
Estimate what a language model would have become under another order of its training data.

Begin with these commands:
  trainorder init mine         a new folder `mine` with the configuration of a study
  cd mine
  trainorder run --smoke       a small study that tests the installation, in two minutes
  trainorder run               the study: it trains, estimates, writes results/mine/report.html
"""
_FURTHER = """\
Arguments after -- go to Snakemake: `trainorder run -- --dry-run` shows what would run.
Plain `snakemake --cores 2` runs the same study in the same folder.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; an error is one line."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    end = given.index("--") if "--" in given else len(given)
    options = _parser().parse_args(given[:end])
    options.further = given[end + 1 :]
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


# The commands


def _init(options: argparse.Namespace) -> int:
    from trainorder.command_line.project import write_project  # imports the checks of records

    folder = Path(options.folder)
    for line in write_project(folder, options.recording):
        print(line)
    if folder.resolve() != Path.cwd():
        print(f"next: cd {folder}")
    print(
        "then: trainorder run --smoke   tests the installation in two minutes\n"
        "      trainorder plan          tells what the study will cost\n"
        "      trainorder run           runs the study and writes its report"
    )
    return 0


def _run(options: argparse.Namespace) -> int:
    return run_study(_arguments(options), SNAKEMAKE)


def _report(options: argparse.Namespace) -> int:
    return _target("report_page", options)


def _what_if(options: argparse.Namespace) -> int:
    if not Path(options.orders).is_file():
        raise UserError(f"{options.orders}: no such file; give a file of orders of your own")
    return _target("what_if", options, "--config", f"orders={options.orders}")


def _plan(options: argparse.Namespace) -> int:
    return _target("plan", options)


def _figures(options: argparse.Namespace) -> int:
    named = ["--config", f"figures={','.join(options.names)}"] if options.names else []
    return _target("figures", options, *named)


def _target(target: str, options: argparse.Namespace, *arguments: str) -> int:
    """Run what Snakemake needs for a target."""
    return run_to_end([*SNAKEMAKE, target, *SHORT_OUTPUT, *_arguments(options), *arguments])


def _arguments(options: argparse.Namespace) -> list[str]:
    """Return the arguments of Snakemake that all commands share.

    Raises:
        UserError: Snakemake is not installed, or this folder is no project.

    """
    if find_spec("snakemake") is None:
        raise UserError(
            'Snakemake is not installed; install it with: pip install "trainorder[study]"'
        )
    further = options.further
    if not (Path(SNAKEFILE).is_file() or {"-s", "--snakefile"} & set(further)):
        raise UserError(
            f"no {SNAKEFILE} in this folder; create a project with `trainorder init FOLDER`, then "
            "work in FOLDER"
        )
    arguments = ["--cores", options.cores, *further]
    if options.smoke:
        arguments += ["--configfile", *(f"{source_folder()}/{name}" for name in SMOKE)]
    return arguments


# The parser


class _Parser(argparse.ArgumentParser):
    """Reports an error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see `{self.prog} --help`\n")


class _Source(argparse.Action):
    """Prints the folder of the workflow and ends, as `--version` does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(source_folder())
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = _Parser("trainorder", description=_ABOUT, epilog=_FURTHER, formatter_class=form)
    parser.add_argument("--version", action="version", version=__version__)
    parser.add_argument(
        "--source",
        action=_Source,
        nargs=0,
        help="print the folder with the workflow's Snakefile, presets and profiles, and exit",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_init(commands)
    shared = _shared_options()
    for name, run, about in (
        ("run", _run, "run the study of this folder, write its report and print its verdict"),
        ("plan", _plan, "print what the study will cost: time, memory and disk"),
        ("what-if", _what_if, "estimate orders of your own with the finished study"),
        ("figures", _figures, "draw the figures of the study, or those that you name"),
        ("report", _report, "write the report of the study, one page for a browser"),
    ):
        command = commands.add_parser(
            name,
            help=about,
            description=about[0].upper() + about[1:] + ".",
            epilog=_FURTHER,
            formatter_class=form,
            parents=[shared],
        )
        command.set_defaults(run=run)
        if run is _what_if:
            command.add_argument("orders", help="file of orders: JSON, YAML, CSV or .npy")
        if run is _figures:
            command.add_argument("names", nargs="*", metavar="NAME", help="figures to draw again")
    return parser


def _add_init(commands: "argparse._SubParsersAction[_Parser]") -> None:
    about = "write a new project: a configuration, a Snakefile and a profile"
    init = commands.add_parser("init", help=about, description=about[0].upper() + about[1:] + ".")
    init.set_defaults(run=_init)
    init.add_argument("folder", nargs="?", default=".", help="default: this folder")
    init.add_argument(
        "--recording",
        metavar="RECORD",
        help="the record of a training run of yours, which the study has as its reference",
    )


def _shared_options() -> _Parser:
    shared = _Parser(add_help=False)
    shared.add_argument(
        "--cores", default="all", metavar="N", help="how many processor cores to use (default: all)"
    )
    shared.add_argument(
        "--smoke",
        action="store_true",
        help="not your study but a small one that tests the installation; its numbers mean nothing",
    )
    return shared

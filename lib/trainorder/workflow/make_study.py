"""Runs a study with short output: `python -m trainorder.workflow.make_study [SNAKEMAKE ARGUMENTS]`.

It runs Snakemake with one line per finished job, then prints the summary. `make study`
and `trainorder run` run it. Plain `snakemake` runs the same study with Snakemake's own output.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

from trainorder.evaluation.result_files import VALIDATION
from trainorder.workflow.child_process import run_to_end

SHORT_OUTPUT = ("--logger", "stages")
_NOTE = "TRAINORDER_RESULTS_NOTE"  # names the file in which the Snakefile notes the results' folder
_DRYRUN = {"-n", "--dry-run", "--dryrun"}


def note_results(results: str, environment: MutableMapping[str, str]) -> None:
    """Note the folder of the study's results for the process that started Snakemake.

    Only Snakemake knows the folder, as its arguments may change the configuration and the working
    directory. The first note counts: replicates of the study, and the processes of jobs, read the
    Snakefile later.
    """
    note = Path(environment[_NOTE]) if _NOTE in environment else None
    if note is not None and not note.exists():
        note.write_text(os.path.abspath(results), encoding="utf-8")


def noted_results(environment: Mapping[str, str]) -> Path | None:
    """Return the noted folder; None if no process of this module started Snakemake."""
    note = Path(environment[_NOTE]) if _NOTE in environment else None
    return Path(note.read_text(encoding="utf-8")) if note is not None and note.exists() else None


def run_study(arguments: Sequence[str], snakemake: Sequence[str]) -> int:
    """Run a study and print its summary; return the exit status of Snakemake.

    Args:
        arguments: further arguments of Snakemake.
        snakemake: the command that starts Snakemake.

    """
    status, results = _run([*snakemake, *SHORT_OUTPUT, "--cores", "all", *arguments])
    if status or results is None or _DRYRUN & set(arguments):
        return status
    if not VALIDATION.path(results).exists():  # only a part of the study was requested
        return 0
    _print_summary(results)
    return 0


def _run(command: Sequence[str]) -> tuple[int, Path | None]:
    """Run Snakemake; return its exit status and the folder of the results that it has noted."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, _NOTE: str(Path(folder, "results"))}
        status, here = run_to_end(command, environment), Path.cwd()
        results = noted_results(environment)
    if results is None:
        return status, None
    return status, results.relative_to(here) if results.is_relative_to(here) else results


def _print_summary(results: Path) -> None:
    from trainorder.evaluation.results import Results  # Snakemake imports this module, too
    from trainorder.workflow.summary import print_summary, summary

    print(flush=True)
    print_summary(summary(Results.read(results), results))


if __name__ == "__main__":
    sys.exit(run_study(sys.argv[1:], [sys.executable, "-m", "snakemake"]))

"""Runs a study with short output: `python -m trainorder.workflow.make_study [SNAKEMAKE ARGUMENTS]`.

It runs Snakemake with one line per finished job, then writes `report.html` beside the results, then
prints the summary. `make study` and `trainorder run` run it. Plain `snakemake` runs the same study
with Snakemake's own output.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import IO

from trainorder.errors import UserError
from trainorder.workflow.child_process import run_to_end

REPORT, VALIDATION = "report.html", "validation.json"  # in the folder of the results
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


def run_study(arguments: Sequence[str], snakemake: Sequence[str]) -> int:
    """Run a study, write its report and print its summary; return the exit status of Snakemake.

    Args:
        arguments: further arguments of Snakemake.
        snakemake: the command that starts Snakemake.

    """
    status, results = _run([*snakemake, *SHORT_OUTPUT, "--cores", "all", *arguments])
    if status or results is None or _DRYRUN & set(arguments):
        return status
    if not (results / VALIDATION).exists():  # only a part of the study was requested
        return 0
    status, report = write_report(arguments, snakemake)
    if report is not None:
        _print_summary(results, report)
    return status


def write_report(arguments: Sequence[str], snakemake: Sequence[str]) -> tuple[int, Path | None]:
    """Write the report of a finished study beside its results.

    Args:
        arguments: further arguments of Snakemake.
        snakemake: the command that starts Snakemake.

    Returns:
        The exit status of Snakemake and the report, or None without one. Its path is relative if it
        is below the working directory.

    Raises:
        UserError: the study is not finished.

    """
    with tempfile.TemporaryDirectory() as folder:
        written, log = Path(folder, REPORT), Path(folder, "log")
        command = [*snakemake, *SHORT_OUTPUT, "--report", str(written), *arguments]
        with open(log, "w", encoding="utf-8") as output:
            status, results = _run(command, output)
        if status and results is not None and not (results / VALIDATION).exists():
            raise UserError(f"{results}: this study is not finished; run it, then write its report")
        print(log.read_text(encoding="utf-8"), end="", file=sys.stderr, flush=True)
        if status or results is None or not written.exists():
            return status, None
        return status, Path(shutil.move(written, results / REPORT))


def _run(command: Sequence[str], output: IO[str] | None = None) -> tuple[int, Path | None]:
    """Run Snakemake; return its exit status and the folder of the results that it has noted."""
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder, "results")
        status = run_to_end(command, {**os.environ, _NOTE: str(note)}, output)
        if not note.exists():
            return status, None
        results, here = Path(note.read_text(encoding="utf-8")), Path.cwd()
    return status, results.relative_to(here) if results.is_relative_to(here) else results


def _print_summary(results: Path, report: Path) -> None:
    from trainorder.evaluation.results import Results  # Snakemake imports this module, too
    from trainorder.workflow.summary import print_summary, summary

    print(flush=True)
    print_summary(summary(Results.read(results), results, report))


if __name__ == "__main__":
    sys.exit(run_study(sys.argv[1:], [sys.executable, "-m", "snakemake"]))

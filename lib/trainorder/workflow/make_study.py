"""Runs a study with short output: `python -m trainorder.workflow.make_study [SNAKEMAKE ARGUMENTS]`.

It runs Snakemake with one line per finished job, then writes `report.html` beside the results, then
prints the summary. `make study` runs it. Plain `snakemake` runs the same study with Snakemake's own
output.
"""

import os
import sys
import tempfile
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from trainorder.workflow.child_process import run_to_end

REPORT = "report.html"  # in the folder of the results
_NOTE = "TRAINORDER_RESULTS_NOTE"  # names the file in which the Snakefile notes the results' folder
_DRYRUN = {"-n", "--dry-run", "--dryrun"}


def note_results(results: str, environment: MutableMapping[str, str]) -> None:
    """Note the folder of the study's results for the process that started Snakemake.

    Only Snakemake knows the folder, as its arguments may change the configuration. The first note
    counts: replicates of the study, and the processes of jobs, read the Snakefile later.
    """
    note = Path(environment[_NOTE]) if _NOTE in environment else None
    if note is not None and not note.exists():
        note.write_text(results, encoding="utf-8")


def run_study(arguments: Sequence[str], snakemake: Sequence[str]) -> int:
    """Run a study, write its report and print its summary; return the exit status of Snakemake.

    Args:
        arguments: further arguments of Snakemake.
        snakemake: the command that starts Snakemake.

    """
    command = [*snakemake, "--logger", "stages"]
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder) / "results"
        environment = {**os.environ, _NOTE: str(note)}
        status = run_to_end([*command, "--cores", "all", *arguments], environment)
        if status or not note.exists() or _DRYRUN & set(arguments):
            return status
        results = Path(note.read_text(encoding="utf-8"))
    if not (results / "validation.json").exists():  # only a part of the study was requested
        return 0
    status = run_to_end([*command, "--report", str(results / REPORT), *arguments], dict(os.environ))
    if status == 0:
        _print_summary(results)
    return status


def _print_summary(results: Path) -> None:
    from trainorder.evaluation.results import Results  # Snakemake imports this module, too
    from trainorder.workflow.summary import print_summary, summary

    print(flush=True)
    print_summary(summary(Results.read(results), results, results / REPORT))


if __name__ == "__main__":
    sys.exit(run_study(sys.argv[1:], [sys.executable, "-m", "snakemake"]))

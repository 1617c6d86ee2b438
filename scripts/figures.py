"""Draws figures from the result files, without torch and without the store."""

from pathlib import Path

from trainorder.figures.drawing import draw_all
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    results = Path(job.input["validation"]).parent
    given = job.params  # the folder is no output where figures are named
    for path in draw_all(results, given["folder"], given["processes"], given["names"]):
        print(path)


run(main, globals().get("snakemake"))

"""Draws every figure from the result files, without torch and without the store."""

from pathlib import Path

from trainorder.figures import draw_all
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    results = Path(job.input["validation"]).parent
    folder = Path(job.output["pdf"][0]).parent
    for path in draw_all(results, folder, job.params["processes"]):
        print(path)


run(main, globals().get("snakemake"))

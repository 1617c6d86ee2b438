"""Draws figures from the result files, without torch and without the store."""

from pathlib import Path

from trainorder.figures.drawing import draw_all
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    results = Path(job.input["validation"]).parent
    names = job.params["names"]
    for path in draw_all(results, results / "figures", job.params["processes"], names):
        print(path)


run(main, globals().get("snakemake"))

"""Draws figures from the result files, without torch and without the store."""

from pathlib import Path

from trainorder.figures.drawing import draw_all
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    results = Path(job.input["validation"]).parent
    files, names = job.output["pdf"], job.params["names"]  # named figures are no outputs
    folder = Path(files[0]).parent if files else results / "figures"
    for path in draw_all(results, folder, job.params["processes"], names):
        print(path)


run(main, globals().get("snakemake"))

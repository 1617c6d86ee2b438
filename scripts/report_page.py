"""Writes the report of a study from its result files and figures."""

from pathlib import Path

from trainorder.report.document import write_report
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    write_report(
        Path(job.input["validation"]).parent,
        job.params["names"],
        page=job.output["report"],
        first=job.output["first_page"],
    )


run(main, globals().get("snakemake"))

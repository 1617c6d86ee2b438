"""Packs the result files of a study into one archive."""

from pathlib import Path

from trainorder.workflow.bundle import write_bundle
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    write_bundle(Path(job.input["validation"]).parent, Path(job.output["bundle"]))


run(main, globals().get("snakemake"))

"""Converts the packaged model to a folder that transformers reads."""

from pathlib import Path

from trainorder.training.packaged_model import convert
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    convert(job.input["archive"], Path(job.output["model"][0]).parent)


run(main, globals().get("snakemake"))

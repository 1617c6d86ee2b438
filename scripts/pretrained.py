"""Converts the packaged model to a folder that transformers reads."""

from pathlib import Path

from trainorder.job import Job, run
from trainorder.packaged_model import convert


def main(job: Job) -> None:
    convert(job.input["archive"], Path(job.output["model"][0]).parent)


run(main, globals().get("snakemake"))

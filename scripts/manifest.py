"""Checks every file of the store, and lists all of them in the manifest."""

from pathlib import Path

from trainorder.storage.manifest import write_manifest
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    files = [Path(name) for names in job.input.values() for name in names]
    write_manifest(Path(job.output["manifest"]), job.params["key"], job.params["code"], files)


run(main, globals().get("snakemake"))

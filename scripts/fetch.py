"""Downloads the pinned archive of one domain and checks its hash."""

from pathlib import Path

from trainorder.data.archives import fetch
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    print(fetch(job.params["domain"], Path(job.output["archive"]).parent))


run(main, globals().get("snakemake"))

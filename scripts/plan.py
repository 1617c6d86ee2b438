"""Estimates the cost of a study before any of its jobs runs."""

import sys
from pathlib import Path

from trainorder.planning.plan import plan
from trainorder.planning.plan_table import plan_table
from trainorder.storage.formats import write_json
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, output = job.params, Path(job.output["plan"])
    record = plan(p["config"], p["replicates"], p["cores"], output.parent)
    write_json(output, record)
    # The table goes to the terminal of the user; other prints of a job go to its log.
    print(plan_table(record), file=sys.__stdout__, flush=True)


run(main, globals().get("snakemake"))

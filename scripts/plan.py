"""Estimates the cost of a study before any of its jobs runs."""

import sys
from pathlib import Path

from trainorder.planning.plan import plan
from trainorder.planning.plan_text import plan_text
from trainorder.storage.formats import write_json
from trainorder.workflow.job import Job, run
from trainorder.workflow.source import user_command


def main(job: Job) -> None:
    p, output = job.params, Path(job.output["plan"])
    record = plan(p["config"], p["replicates"], p["cores"], output.parent)
    write_json(output, record)
    # The text goes to the terminal of the user; other prints of a job go to its log.
    print(plan_text(record, user_command("predictability")), file=sys.__stdout__, flush=True)


run(main, globals().get("snakemake"))

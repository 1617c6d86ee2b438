"""Writes one shard of the gradient table along the reference path."""

from pathlib import Path

import numpy as np

from trainorder.expansion.gradient_table import write_table
from trainorder.expansion.path import opened_path
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    problem = context.problem
    with opened_path(job.input["path"], context.key) as path:
        anchors = np.array_split(path.anchors, p["shards"])[p["shard"]]
        with job.meter.time("precompute"):
            write_table(Path(job.output["table"]), context.key, problem, path, anchors)


run(main, globals().get("snakemake"))

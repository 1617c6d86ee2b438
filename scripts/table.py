"""Writes one shard of the gradient table along the reference path."""

from pathlib import Path

import numpy as np

from trainorder.expansion.gradient_table import write_table
from trainorder.expansion.path import StoredPath
from trainorder.storage.sealed_hdf5 import opened
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    with opened(job.input["path"], p["key"], "reference") as file:
        path = StoredPath(file)
        anchors = np.array_split(path.anchors, p["shards"])[p["shard"]]
        with job.meter.time("precompute"):
            write_table(Path(job.output["table"]), p["key"], problem, path, anchors)


run(main, globals().get("snakemake"))

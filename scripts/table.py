"""Writes one shard of the gradient table along the reference path."""

from pathlib import Path

from trainorder.config import WindowConfig
from trainorder.job import Job, run
from trainorder.path import Path as ExpansionPath
from trainorder.problem import LanguageProblem
from trainorder.store import opened
from trainorder.table import anchor_steps, spans, write_table


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    steps = WindowConfig(**p["window"]).steps
    anchors = spans(steps, anchor_steps(steps, p["anchors"]), p["shards"])[p["shard"]].anchors
    with opened(job.input["path"], p["key"], "reference") as file:
        path = ExpansionPath(file)
        with job.meter.time("precompute"):
            write_table(Path(job.output["table"]), p["key"], problem, path, anchors)


run(main, globals().get("snakemake"))

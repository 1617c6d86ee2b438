"""Measures the own curvature of one shard of the units."""

from pathlib import Path

import numpy as np

from trainorder.checkpoints import read_state
from trainorder.config import CurvatureConfig
from trainorder.job import Job, run
from trainorder.manifest import RULES
from trainorder.path import Path as ExpansionPath
from trainorder.problem import LanguageProblem
from trainorder.store import opened, write_arrays
from trainorder.unit_curvature import Probed, own_responses, unit_pools


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    config = CurvatureConfig(**p["curvature"])
    start = read_state(job.input["warm"], p["key"], "warm")
    probed = Probed.load(job.input["probed"], p["key"], start)
    pools = unit_pools(problem, config.unit_sequences, p["seed"])
    units = np.array_split(np.arange(problem.units), p["shards"])[p["shard"]]
    rule = RULES[Path(job.input["path"]).parent.name, "path"]
    with opened(job.input["path"], p["key"], rule) as file:
        centre = ExpansionPath(file).parameters(probed.step)
    with job.meter.time("precompute"):
        halves = own_responses(problem, centre, probed, pools, units)
    write_arrays(
        job.output["responses"],
        p["key"],
        {"unit": units, "response": halves.numpy(), "left_out": pools.left_out(problem.sequences)},
    )


run(main, globals().get("snakemake"))

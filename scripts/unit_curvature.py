"""Measures the own curvature of one shard of the units."""

from pathlib import Path

import numpy as np

from trainorder.config.sections import CurvatureConfig
from trainorder.curvature.unit_curvature import ProbedExpansion, own_responses, unit_pools
from trainorder.expansion.path import StoredPath
from trainorder.storage.manifest import RULES
from trainorder.storage.sealed_hdf5 import opened, write_arrays
from trainorder.training.checkpoints import read_state
from trainorder.training.problem import LanguageProblem
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    problem = LanguageProblem.load(job.input["corpus"], job.meter, **p["problem"])
    config = CurvatureConfig(**p["curvature"])
    start = read_state(job.input["warm"], p["key"], "warm")
    probed = ProbedExpansion.load(job.input["probed"], p["key"], start)
    pools = unit_pools(problem, config.unit_sequences, p["seed"])
    units = np.array_split(np.arange(problem.units), p["shards"])[p["shard"]]
    rule = RULES[Path(job.input["path"]).parent.name, "path"]
    with opened(job.input["path"], p["key"], rule) as file:
        centre = StoredPath(file).parameters(probed.step)
    with job.meter.time("precompute"):
        halves = own_responses(problem, centre, probed, pools, units)
    write_arrays(
        job.output["responses"],
        p["key"],
        {
            "unit": units,
            "response": halves.numpy(),
            "left_out": pools.missing_shares(problem.sequences),
        },
    )


run(main, globals().get("snakemake"))

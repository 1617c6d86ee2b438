"""Measures the curvature of one shard of the units."""

import numpy as np

from trainorder.config.sections.curvature import CurvatureConfig
from trainorder.curvature.unit_curvature import ProbedExpansion, own_responses, unit_pools
from trainorder.expansion.path import opened_path
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    key, problem = context.key, context.problem
    config = CurvatureConfig(**p["curvature"])
    probed = ProbedExpansion.load(job.input["probed"], key, context.start())
    pools = unit_pools(problem, config.unit_sequences, p["seed"])
    units = np.array_split(np.arange(problem.units), p["shards"])[p["shard"]]
    with opened_path(job.input["path"], key) as path:
        theta = path.parameters(probed.step)
    with job.meter.time("precompute"):
        halves = own_responses(problem, theta, probed, pools, units)
    write_arrays(
        job.output["responses"],
        key,
        {
            "unit": units,
            "response": halves.numpy(),
            "left_out": pools.missing_shares(problem.sequences),
        },
    )


run(main, globals().get("snakemake"))

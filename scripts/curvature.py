"""Joins the curvature of clusters and of units in one low-rank expansion, and quantizes it."""

from pathlib import Path

from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.low_rank_rounding import rounding
from trainorder.curvature.unit_curvature import ProbedExpansion, read_responses, with_unit_curvature
from trainorder.storage.formats import write_json
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    context = Context(job)
    key, start = context.key, context.start()
    probed = ProbedExpansion.load(job.input["probed"], key, start)
    units = len(probed.model.labels)
    halves, left_out = read_responses(job.input["responses"], key, units)
    with job.meter.time("precompute"):
        model, shrinkage = with_unit_curvature(probed, halves, left_out)
    model.save(Path(job.output["curvature"]), key)
    quantized = LowRankExpansion.load(job.output["curvature"], key, start)
    loss = rounding(model, quantized, probed.directions, probed.metric, probed.step)
    write_json(job.output["units"], {"shrinkage": shrinkage.tolist(), "rounding": loss})


run(main, globals().get("snakemake"))

"""Puts the curvature of clusters and of units into one low-rank expansion, and rounds it."""

from pathlib import Path

from trainorder.curvature.low_rank import LowRankExpansion, rounding
from trainorder.curvature.unit_curvature import ProbedExpansion, read_responses, with_unit_curvature
from trainorder.storage.formats import write_json
from trainorder.training.checkpoints import read_state
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    start = read_state(job.input["warm"], p["key"], "warm")
    probed = ProbedExpansion.load(job.input["probed"], p["key"], start)
    units = len(probed.model.labels)
    halves, left_out = read_responses(job.input["responses"], p["key"], units)
    with job.meter.time("precompute"):
        model, belief = with_unit_curvature(probed, halves, left_out)
    model.save(Path(job.output["curvature"]), p["key"])
    kept = LowRankExpansion.load(job.output["curvature"], p["key"], start)
    lost = rounding(model, kept, probed.directions, probed.metric, probed.step)
    write_json(job.output["units"], {"shrinkage": belief.tolist(), "rounding": lost})


run(main, globals().get("snakemake"))

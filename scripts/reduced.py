"""Reduces the low-rank expansion to a few megabytes that replay whole schedules."""

from trainorder.curvature.build_reduced_model import SCHEDULES, ReducedModelBuilder
from trainorder.curvature.low_rank import LowRankExpansion
from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.curvature.probe_schedules import probe_schedules
from trainorder.evaluation.costs import ALONG
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.path import opened_path
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    key, problem, window = context.key, context.problem, context.window
    model = LowRankExpansion.load(job.input["curvature"], key, context.start())
    shape = (window.steps, window.units_per_step)
    schedules = probe_schedules(shape, window.units, p["seed"], SCHEDULES)
    with opened_path(job.input["path"], key) as path:
        expansion = Expansion(problem, context.optimizer, path, None)
        with job.meter.time("precompute"):
            metric = second_moment_scale(expansion)
            builder = ReducedModelBuilder(expansion, model, schedules, metric)
            reduced = builder.build(window.readouts(p["readouts"]), p["averaged_states"])
        with job.meter.time(ALONG):
            along = builder.with_more_readouts(reduced, window.readouts_along)
    reduced.save(job.output["reduced"], key)
    along.save(job.output["along"], key)


run(main, globals().get("snakemake"))

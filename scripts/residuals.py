"""Measures what subsamples of units miss of their gradients, where the reference run used them."""

from pathlib import Path

from trainorder.curvature.preconditioner_metric import second_moment_scale
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.known_runs import KnownRuns
from trainorder.expansion.path import opened_path
from trainorder.orders.order_book import OrderBook
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    problem = context.problem
    schedule = OrderBook.load(job.input["orders"]).reference.schedule
    with opened_path(job.input["path"], context.key) as path:
        scale = second_moment_scale(Expansion(problem, context.optimizer, path, None))
        with job.meter.time("precompute"):
            known = KnownRuns.measure(problem, path, schedule, p["sizes"], scale, p["seed"])
    known.save(Path(job.output["residuals"]), context.key)


run(main, globals().get("snakemake"))

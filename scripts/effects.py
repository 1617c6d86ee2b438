"""Computes the effects of units along a path for the adjoint."""

from trainorder.estimators.adjoint import barycentre_steps, path_effects, reference_steps
from trainorder.expansion.clusters import Clusters
from trainorder.expansion.expansion import Expansion
from trainorder.expansion.gradient_table import opened_table
from trainorder.expansion.path import opened_path
from trainorder.orders.order_book import OrderBook
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    problem, window, key = context.problem, context.window, context.key
    if p["path"] == "reference":
        schedule = OrderBook.load(job.input["consumed"]).reference.schedule
        consumed = reference_steps(problem, schedule)
    else:
        clusters = Clusters.load(job.input["consumed"], key)
        consumed = barycentre_steps(problem, clusters, window.steps, window.units_per_step)
    with (
        opened_path(job.input["path"], key) as path,
        opened_table(job.input["table"], key) as table,
        job.meter.time("precompute"),
    ):
        expansion = Expansion(problem, context.optimizer, path, table)
        effects = path_effects(expansion, consumed, p["averaged_states"])
    effects.save(job.output["effects"], key)


run(main, globals().get("snakemake"))

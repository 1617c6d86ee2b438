"""Estimates what each position of each unit does."""

from pathlib import Path

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.curvature.reduced_model import ReducedModel
from trainorder.estimators.open_estimator import opened_estimator
from trainorder.expansion.store import Store
from trainorder.memorization.estimates import (
    estimates_at_all_positions,
    reduced_estimate,
    replayed_estimate,
)
from trainorder.orders.order_book import OrderBook
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.context import Context
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, context = job.params, Context(job)
    orders = OrderBook.load(job.input["orders"])
    schedule, domains = orders.reference.schedule, orders.unit_domains
    config = EstimatorConfig.from_name(p["estimator"])
    if config.descriptor.rule == "predict":
        with job.meter.time("replay"):
            estimate = reduced_estimate(ReducedModel.load(job.input["reduced"], context.key))
            maps = estimates_at_all_positions(schedule, domains, estimate)
    else:
        problem = context.problem
        store = Store(Path(job.input["manifest"]).parent, context.key)
        with (
            opened_estimator(
                config, problem, context.optimizer, store=store, seed=p["seed"]
            ) as estimator,
            job.meter.time("replay"),
        ):
            maps = estimates_at_all_positions(
                schedule, domains, replayed_estimate(estimator, problem)
            )
    write_arrays(job.output["maps"], context.key, maps, estimator=p["estimator"])


run(main, globals().get("snakemake"))

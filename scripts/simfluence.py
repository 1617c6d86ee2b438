"""Fits the recursions of simfluence on retrained orders, and estimates the others with them."""

from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.estimators.baselines.simfluence import fit_simfluence
from trainorder.evaluation.outcome_arrays import outcome_without_parameters
from trainorder.evaluation.outcomes import read_truth
from trainorder.orders.order_book import OrderBook
from trainorder.storage.sealed_hdf5 import write_arrays
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p, config = job.params, EstimatorConfig(**job.params["estimator"])
    orders = OrderBook.load(job.input["orders"])
    estimated = orders.bounded(config.orders)
    truth = read_truth(job.input["truth"], p["key"], list(orders))
    along = truth.along[truth.rows(order.name for order in orders.fit)]
    readouts = WindowConfig(**p["window"]).readouts(along.shape[1])
    with job.meter.time("precompute"):
        schedules = [order.schedule for order in orders.fit]
        model = fit_simfluence(schedules, orders.unit_domains, along, readouts)
    with job.meter.time("replay"):
        values = model.predict([order.schedule for order in estimated])
    job.meter.orders += len(estimated)
    estimates = outcome_without_parameters(estimated, truth.metrics, values, p["sketch_rows"])
    write_arrays(job.output["estimate"], p["key"], estimates, estimator=config.name)


run(main, globals().get("snakemake"))
